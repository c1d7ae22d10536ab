//! Phantom tokens for everything that is granted, before anything is stored: the sidecar, which
//! comes first, names some of them. One that the vault has never heard of opens nothing.

use terok_shared::secret::Secret;
use terok_shared::token::{EntropyError, mint_gate, mint_phantom};
use vault_store::token::{StoredToken, TokenInfo};

use super::environment::{Granted, GrantedProvider};
use super::plan::Plan;
use super::ports::Ports;
use super::wanted::{Wanted, WantedProvider};
use crate::credential_name::SSH;

/// Everything granted, with the rows that make it so.
pub(super) fn all(
    plan: &Plan,
    wanted: Wanted,
    ports: Option<Ports>,
) -> Result<(Granted, Vec<StoredToken>), EntropyError> {
    let mut rows = Vec::new();
    let mut row = |token: &Secret<String>, set: &str, provider: &str| {
        rows.push(StoredToken {
            token: token.expose().clone().into(),
            info: TokenInfo {
                scope: plan.scope.to_string(),
                subject: plan.name.to_string(),
                credential_set: set.to_owned(),
                provider: provider.to_owned(),
            },
        });
    };
    let mut providers = Vec::with_capacity(wanted.providers.len());
    for one in wanted.providers {
        let token = phantom(&one)?;
        row(&token, &one.set, one.name.as_str());
        let WantedProvider { name, kind, file, .. } = one;
        providers.push(GrantedProvider { name, kind, token, file });
    }
    let ssh = wanted.ssh.then(mint_phantom).transpose()?;
    if let Some(token) = &ssh {
        row(token, plan.set.as_str(), SSH);
    }
    let gate = plan.gate.as_ref().map(|_| mint_gate()).transpose()?;
    Ok((Granted { ports, providers, ssh, plain_agent: false, gate }, rows))
}

fn phantom(wanted: &WantedProvider) -> Result<Secret<String>, EntropyError> {
    match (&wanted.file, wanted.form) {
        (Some(file), _) => file.mint(),
        (None, Some(form)) => form.mint(),
        (None, None) => mint_phantom(),
    }
}

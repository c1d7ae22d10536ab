//! What a launch asks of the vault and of this machine, checked: everything is there, and a route
//! leads to it. Nothing is made.

use std::fmt;

use terok_shared::token::Form;
use vault_store::Vault;
use vault_store::credential::{Credential, Kind};
use vault_store::scope::ScopeName;

use super::plan::{Plan, Ssh};
use crate::Failure;
use crate::credential_name::{ProviderName, SetName};
use crate::egress::{self, Borrowed, Dummy};
use crate::known_provider;
use crate::vault::read_routes;

/// Everything that was asked for and is there.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) providers: Vec<WantedProvider>,
    pub(super) ssh: bool,
}

#[derive(Debug)]
pub(super) struct WantedProvider {
    pub(super) name: ProviderName,
    /// The set its credential is in.
    pub(super) set: String,
    pub(super) kind: Kind,
    /// The form its clients expect of a token, where they look.
    pub(super) form: Option<Form>,
    /// The file its client insists on, where one was asked for.
    pub(super) file: Option<Dummy>,
}

#[derive(Debug)]
enum WantedError {
    NoCredential {
        provider: ProviderName,
        set: SetName,
    },
    Unusable {
        provider: ProviderName,
        set: SetName,
    },
    NoRoute {
        provider: ProviderName,
    },
    /// From the vault and from this machine.
    Twice {
        provider: ProviderName,
    },
    NoKeys {
        scope: ScopeName,
    },
    /// A file was asked for, and no client of these credentials wants one.
    NoFile,
}

/// # Errors
/// What is missing, with the command that adds it.
pub(super) fn check(
    plan: &Plan,
    vault: Option<&Vault>,
    borrowed: &[Borrowed],
) -> Result<Wanted, Failure> {
    let Some(vault) = vault else { return Ok(Wanted::default()) };
    let routes = read_routes(&plan.routes)?;
    let mut wanted = Wanted::default();
    for provider in &plan.providers {
        let credential = stored(plan, vault, provider)?;
        if !routes.contains_key(provider.as_str()) {
            return Err(WantedError::NoRoute { provider: provider.clone() }.into());
        }
        wanted.add(plan, provider, plan.set.to_string(), &credential, None);
    }
    for Borrowed { provider, credential, .. } in borrowed {
        if plan.providers.contains(provider) {
            return Err(WantedError::Twice { provider: provider.clone() }.into());
        }
        let known = || known_provider::route(provider.as_str()).is_some();
        if !routes.contains_key(provider.as_str()) && !known() {
            return Err(WantedError::NoRoute { provider: provider.clone() }.into());
        }
        let form = known_provider::form(provider.as_str(), credential.kind());
        wanted.add(plan, provider, egress::set_of(&plan.name), credential, form);
    }
    if plan.client_home.is_some() && wanted.providers.iter().all(|one| one.file.is_none()) {
        return Err(WantedError::NoFile.into());
    }
    wanted.ssh = has_keys(plan, vault)?;
    Ok(wanted)
}

fn stored(plan: &Plan, vault: &Vault, provider: &ProviderName) -> Result<Credential, Failure> {
    let stored = vault.credential(plan.set.as_str(), provider.as_str())?;
    let (provider, set) = (provider.clone(), plan.set.clone());
    match stored {
        None => Err(WantedError::NoCredential { provider, set }.into()),
        Some(stored) if stored.secret().is_none() => {
            Err(WantedError::Unusable { provider, set }.into())
        }
        Some(stored) => Ok(stored),
    }
}

fn has_keys(plan: &Plan, vault: &Vault) -> Result<bool, Failure> {
    if plan.ssh == Ssh::No {
        return Ok(false);
    }
    let some = !vault.ssh_keys(plan.scope.as_str())?.is_empty();
    if !some && plan.ssh == Ssh::Yes {
        return Err(WantedError::NoKeys { scope: plan.scope.clone() }.into());
    }
    Ok(some)
}

impl Wanted {
    fn add(
        &mut self,
        plan: &Plan,
        name: &ProviderName,
        set: String,
        credential: &Credential,
        form: Option<Form>,
    ) {
        let file = plan.client_home.as_ref().and_then(|_| Dummy::of(name.as_str(), credential));
        let kind = credential.kind();
        self.providers.push(WantedProvider { name: name.clone(), set, kind, form, file });
    }
}

impl fmt::Display for WantedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let option = |set: &SetName| match set.as_str() {
            "default" => String::new(),
            other => format!(" --set {other}"),
        };
        match self {
            Self::NoCredential { provider, set } => write!(
                f,
                "give the use of {provider}: set {set} has no credential for it\n\
                 hint: run `terokctl vault add {provider}{}`",
                option(set)
            ),
            Self::Unusable { provider, set } => write!(
                f,
                "give the use of {provider}: its credential in set {set} has no value\n\
                 hint: run `terokctl vault add {provider}{}` to replace it",
                option(set)
            ),
            Self::NoRoute { provider } => write!(
                f,
                "give the use of {provider}: there is no route to it\n\
                 hint: run `terokctl vault add {provider} --upstream URL`"
            ),
            Self::Twice { provider } => write!(
                f,
                "give the use of {provider}: both the vault's credential and one of this machine \
                 were asked for\nhint: leave out `--provider {provider}`, or the other"
            ),
            Self::NoKeys { scope } => write!(
                f,
                "give the use of ssh keys: scope {scope} has none\n\
                 hint: run `terokctl ssh generate --scope {scope}`"
            ),
            Self::NoFile => f.write_str(
                "write a credential file: no client of these credentials insists on one\n\
                 hint: leave out --dummy-auth-file; it is for logins of openai and anthropic",
            ),
        }
    }
}

impl std::error::Error for WantedError {}

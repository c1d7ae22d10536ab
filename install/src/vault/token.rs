//! `vault token mint|list|revoke`. A token is printed when it is made and never again; listed and
//! revoked it goes by an id made from its digest.

use std::fmt;

use serde::Serialize;
use sha2::{Digest, Sha256};
use terok_shared::secret::Secret;
use vault_store::Vault;
use vault_store::scope::ScopeName;
use vault_store::token::{StoredToken, TokenInfo};

use super::open::open;
use crate::Failure;
use crate::cli::{MintArgs, RevokeArgs, TokenCommand, TokenListArgs};
use crate::credential_name::{NameError, ProviderName, SSH, SetName};
use crate::directories::Directories;
use crate::output::{count, print, print_json, remark, table, tell};

#[derive(Debug)]
enum TokenError {
    Provider { name: String, why: NameError },
    NoCredential { provider: ProviderName, set: SetName },
    NoKeys { scope: ScopeName },
    NoSuchId { id: String },
}

#[derive(Debug, Serialize)]
struct Listed<'a> {
    id: String,
    scope: &'a str,
    subject: &'a str,
    credential_set: &'a str,
    provider: &'a str,
}

pub(super) fn run(directories: &Directories, command: TokenCommand) -> Result<(), Failure> {
    match command {
        TokenCommand::Mint(args) => mint(directories, args),
        TokenCommand::List(args) => list(directories, &args),
        TokenCommand::Revoke(args) => revoke(directories, &args),
    }
}

fn mint(directories: &Directories, args: MintArgs) -> Result<(), Failure> {
    let mut vault = open(directories, &args.unlock)?;
    grantable(&vault, &args)?;
    let info = TokenInfo {
        scope: args.scope.to_string(),
        subject: args.subject,
        credential_set: args.set.to_string(),
        provider: args.provider,
    };
    let token = match args.like {
        Some(form) => vault.mint_token_like(&info, form)?,
        None => vault.mint_token(&info)?,
    };
    if args.json {
        let id = id(&token);
        print_json(&serde_json::json!({ "token": token.expose(), "id": id }))?;
    } else {
        print(token.expose())?;
    }
    Ok(())
}

/// A token for nothing would only fail later, inside a container.
fn grantable(vault: &Vault, args: &MintArgs) -> Result<(), Failure> {
    if args.provider == SSH {
        if vault.ssh_keys(args.scope.as_str())?.is_empty() {
            return Err(TokenError::NoKeys { scope: args.scope.clone() }.into());
        }
        return Ok(());
    }
    let provider = ProviderName::parse(&args.provider)
        .map_err(|why| TokenError::Provider { name: args.provider.clone(), why })?;
    if vault.credential(args.set.as_str(), provider.as_str())?.is_none() {
        return Err(TokenError::NoCredential { provider, set: args.set.clone() }.into());
    }
    Ok(())
}

fn list(directories: &Directories, args: &TokenListArgs) -> Result<(), Failure> {
    let tokens = open(directories, &args.unlock)?.tokens()?;
    let listed: Vec<Listed<'_>> = tokens.iter().map(listed).collect();
    if args.json {
        print_json(&listed)?;
    } else if listed.is_empty() {
        remark("no tokens");
    } else {
        let row = |one: &Listed<'_>| {
            let facts = [&one.id, one.scope, one.subject, one.provider, one.credential_set];
            facts.map(str::to_owned).to_vec()
        };
        let rows: Vec<Vec<String>> = listed.iter().map(row).collect();
        print(&table(&["ID", "SCOPE", "SUBJECT", "PROVIDER", "SET"], &rows))?;
    }
    Ok(())
}

fn listed(stored: &StoredToken) -> Listed<'_> {
    Listed {
        id: id(&stored.token),
        scope: &stored.info.scope,
        subject: &stored.info.subject,
        credential_set: &stored.info.credential_set,
        provider: &stored.info.provider,
    }
}

fn revoke(directories: &Directories, args: &RevokeArgs) -> Result<(), Failure> {
    let mut vault = open(directories, &args.unlock)?;
    let tokens = vault.tokens()?;
    let mut doomed: Vec<&StoredToken> = Vec::new();
    for wanted in &args.ids {
        let found = tokens.iter().find(|stored| id(&stored.token) == *wanted);
        doomed.push(found.ok_or_else(|| TokenError::NoSuchId { id: wanted.clone() })?);
    }
    if let Some(subject) = &args.subject {
        let of_scope = |stored: &StoredToken| {
            args.scope.as_ref().is_none_or(|scope| scope.as_str() == stored.info.scope)
        };
        doomed.extend(tokens.iter().filter(|t| t.info.subject == *subject && of_scope(t)));
    }
    let mut revoked = 0usize;
    for stored in doomed {
        revoked += usize::from(vault.revoke_token(stored.token.expose())?);
    }
    let told = format!("revoked {}", count(revoked, "token"));
    tell(args.json, &told, &serde_json::json!({ "revoked": revoked }))?;
    Ok(())
}

/// 48 bits of the token's digest: enough to tell tokens apart, useless to find one.
fn id(token: &Secret<String>) -> String {
    hex::encode(&Sha256::digest(token.expose().as_bytes())[..6])
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Provider { name, why } => write!(f, "provider {name:?}: {why}"),
            Self::NoCredential { provider, set } => write!(
                f,
                "make a token for {provider}: set {set} has no credential for it\n\
                 hint: run `terokctl vault add {provider}`"
            ),
            Self::NoKeys { scope } => write!(
                f,
                "make a token for ssh: scope {scope} has no key\n\
                 hint: run `terokctl ssh generate --scope {scope}`"
            ),
            Self::NoSuchId { id } => write!(
                f,
                "revoke token {id:?}: there is none; nothing was revoked\n\
                 hint: `terokctl vault token list` shows the ids"
            ),
        }
    }
}

impl std::error::Error for TokenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_nothing_of_its_token() {
        let token = Secret::from("terok-p-00112233445566778899aabbccddeeff".to_owned());
        assert_eq!(id(&token).len(), 12);
        assert!(!token.expose().contains(&id(&token)));
    }
}

//! `ssh assign`, `default` and `remove`: which scopes have a key, and which key they offer first.

use serde_json::{Value, json};
use vault_store::scope::ScopeName;

use super::find;
use crate::Failure;
use crate::cli::{AssignKeyArgs, DefaultKeyArgs, RemoveKeyArgs};
use crate::directories::Directories;
use crate::output::tell;
use crate::vault::open;

pub(super) fn assign(directories: &Directories, args: &AssignKeyArgs) -> Result<(), Failure> {
    let mut vault = open(directories, &args.unlock)?;
    let key = find(&vault, &args.fingerprint)?;
    let is_new = vault.assign_ssh_key(&args.scope, key.id)?;
    if args.default {
        vault.set_default_ssh_key(&args.scope, key.id)?;
    }
    let verb = if is_new { "has" } else { "already has" };
    let told = format!("scope {} {verb} key {}", args.scope, key.fingerprint);
    tell(args.json, &told, &facts(&key.fingerprint, Some(&args.scope)))?;
    Ok(())
}

pub(super) fn default(directories: &Directories, args: &DefaultKeyArgs) -> Result<(), Failure> {
    let mut vault = open(directories, &args.unlock)?;
    let key = find(&vault, &args.fingerprint)?;
    vault.set_default_ssh_key(&args.scope, key.id)?;
    let told = format!("scope {} offers key {} first", args.scope, key.fingerprint);
    tell(args.json, &told, &facts(&key.fingerprint, Some(&args.scope)))?;
    Ok(())
}

pub(super) fn remove(directories: &Directories, args: &RemoveKeyArgs) -> Result<(), Failure> {
    let mut vault = open(directories, &args.unlock)?;
    let key = find(&vault, &args.fingerprint)?;
    let Some(scope) = &args.scope else {
        vault.remove_ssh_key(key.id)?;
        let told = format!("removed key {} from the vault", key.fingerprint);
        return Ok(tell(args.json, &told, &facts(&key.fingerprint, None))?);
    };
    if !vault.unassign_ssh_key(scope, key.id)? {
        let scope = scope.clone();
        return Err(super::SshError::NotAssigned { fingerprint: key.fingerprint, scope }.into());
    }
    let rest = match vault.find_ssh_key(&key.fingerprint)? {
        Some(_) => "other scopes still have it",
        None => "nobody had it any more, so it is out of the vault",
    };
    let told = format!("removed key {} from scope {scope}; {rest}", key.fingerprint);
    Ok(tell(args.json, &told, &facts(&key.fingerprint, Some(scope)))?)
}

/// Without a scope it is every one.
fn facts(fingerprint: &str, scope: Option<&ScopeName>) -> Value {
    json!({ "fingerprint": fingerprint, "scope": scope.map(ScopeName::as_str) })
}

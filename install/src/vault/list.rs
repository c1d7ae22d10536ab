//! `vault list`: the credentials' names, kinds and expiry. Values are read to tell the kind, and
//! never shown.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use serde::Serialize;
use vault_store::Vault;
use vault_store::credential::{Credential, CredentialError, Kind};

use super::open::open;
use super::routes_file;
use crate::Failure;
use crate::cli::ListArgs;
use crate::directories::Directories;
use crate::output::{print, print_json, remark, table};

#[derive(Debug, Serialize)]
pub(super) struct Listed {
    provider: String,
    credential_set: String,
    #[serde(rename = "type")]
    kind: String,
    /// Unix seconds.
    expires_at: Option<i64>,
    /// Whether its provider has a route.
    routed: bool,
    /// Why the login can no longer be renewed, in the token endpoint's word.
    refused: Option<String>,
}

pub(super) fn run(directories: &Directories, args: &ListArgs) -> Result<(), Failure> {
    let vault = open(directories, &args.unlock)?;
    let routes = routes_file::read(&directories.routes())?;
    let listed = listed(&vault, |provider| routes.contains_key(provider))?;
    if args.json {
        print_json(&listed)?;
    } else if listed.is_empty() {
        remark("no credentials; `terokctl vault add PROVIDER` stores one");
    } else {
        print(&text(&listed))?;
        for one in listed.iter().filter(|one| one.refused.is_some()) {
            remark(&lost(one));
        }
    }
    Ok(())
}

/// Every credential without its value.
pub(super) fn listed(
    vault: &Vault,
    is_routed: impl Fn(&str) -> bool,
) -> Result<Vec<Listed>, Failure> {
    let refused = vault.refused_logins()?;
    let mut listed = Vec::new();
    for name in vault.credentials()? {
        let (kind, expires_at) = kind_and_expiry(vault, &name.credential_set, &name.provider)?;
        listed.push(Listed {
            routed: is_routed(&name.provider),
            refused: refused.iter().find(|one| one.name == name).map(|one| one.reason.clone()),
            provider: name.provider,
            credential_set: name.credential_set,
            kind,
            expires_at,
        });
    }
    Ok(listed)
}

fn kind_and_expiry(
    vault: &Vault,
    set: &str,
    provider: &str,
) -> Result<(String, Option<i64>), CredentialError> {
    match vault.credential(set, provider) {
        Ok(Some(credential)) if credential.secret().is_none() => Ok(("unusable".into(), None)),
        Ok(Some(credential)) => Ok((kind(&credential), credential.expires_at())),
        // Removed since the names were read.
        Ok(None) => Ok(("removed".into(), None)),
        Err(CredentialError::Malformed { .. }) => Ok(("malformed".into(), None)),
        Err(why) => Err(why),
    }
}

fn kind(credential: &Credential) -> String {
    match (credential.member("type"), credential.kind()) {
        (Some(name), _) => name.expose().clone(),
        (None, Kind::OAuth) => "oauth".to_owned(),
        (None, Kind::Key) => "key".to_owned(),
    }
}

/// A table of them, as of now.
pub(super) fn text(listed: &[Listed]) -> String {
    let now = now();
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|one| {
            vec![
                one.provider.clone(),
                one.credential_set.clone(),
                one.kind.clone(),
                match &one.refused {
                    Some(reason) => format!("renewal refused: {reason}"),
                    None => expiry(one.expires_at, now),
                },
                if one.routed { "yes" } else { "missing" }.to_owned(),
            ]
        })
        .collect();
    table(&["PROVIDER", "SET", "TYPE", "EXPIRES", "ROUTE"], &rows)
}

/// What to do about a login that can no longer be renewed.
fn lost(one: &Listed) -> String {
    let Listed { provider, credential_set, .. } = one;
    format!(
        "the login of {provider} in set {credential_set} can no longer be renewed\n\
         hint: log in anew and store it with `terokctl vault add {provider} --set {credential_set}`"
    )
}

fn expiry(expires_at: Option<i64>, now: i64) -> String {
    let Some(seconds) = expires_at else { return "never".to_owned() };
    let Ok(time) = Timestamp::from_second(seconds) else { return "unreadable".to_owned() };
    if seconds <= now { format!("{time} (expired)") } else { time.to_string() }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_told_in_utc() {
        assert_eq!(expiry(None, 0), "never");
        assert_eq!(expiry(Some(1_700_000_000), 0), "2023-11-14T22:13:20Z");
        assert_eq!(expiry(Some(10), 10), "1970-01-01T00:00:10Z (expired)");
        assert_eq!(expiry(Some(i64::MAX), 0), "unreadable");
    }
}

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
struct Listed {
    provider: String,
    credential_set: String,
    #[serde(rename = "type")]
    kind: String,
    /// Unix seconds.
    expires_at: Option<i64>,
    /// Whether its provider has a route.
    routed: bool,
}

pub(super) fn run(directories: &Directories, args: &ListArgs) -> Result<(), Failure> {
    let vault = open(directories, &args.unlock)?;
    let routes = routes_file::read(&directories.routes())?;
    let mut listed = Vec::new();
    for name in vault.credentials()? {
        let (kind, expires_at) = kind_and_expiry(&vault, &name.credential_set, &name.provider)?;
        listed.push(Listed {
            routed: routes.contains_key(&name.provider),
            provider: name.provider,
            credential_set: name.credential_set,
            kind,
            expires_at,
        });
    }
    if args.json {
        print_json(&listed)?;
    } else if listed.is_empty() {
        remark("no credentials; `terokctl vault add PROVIDER` stores one");
    } else {
        print(&text(&listed, now()))?;
    }
    Ok(())
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

fn text(listed: &[Listed], now: i64) -> String {
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|one| {
            vec![
                one.provider.clone(),
                one.credential_set.clone(),
                one.kind.clone(),
                expiry(one.expires_at, now),
                if one.routed { "yes" } else { "missing" }.to_owned(),
            ]
        })
        .collect();
    table(&["PROVIDER", "SET", "TYPE", "EXPIRES", "ROUTE"], &rows)
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

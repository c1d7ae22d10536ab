//! `vault status`: where the vault is, whether it is unlocked, what is in it. A locked or missing
//! vault is an answer, not a failure.

use std::collections::BTreeSet;

use serde::Serialize;
use vault_store::Vault;
use vault_store::unlock::resolve;

use super::open::{open, sources};
use super::routes_file;
use crate::Failure;
use crate::cli::StatusArgs;
use crate::directories::Directories;
use crate::output::{count, print, print_json, printable};

#[derive(Debug, Serialize)]
struct Status {
    database: String,
    exists: bool,
    /// The tier whose passphrase opens the vault.
    unlocked_by: Option<String>,
    /// Why it is not open.
    locked: Option<String>,
    routes_file: String,
    /// `None` for a table that cannot be used.
    routes: Option<usize>,
    counts: Option<Counts>,
}

#[derive(Debug, Serialize)]
struct Counts {
    credentials: usize,
    ssh_keys: usize,
    ssh_scopes: usize,
    tokens: usize,
}

pub(super) fn run(directories: &Directories, args: &StatusArgs) -> Result<(), Failure> {
    let status = look(directories, args)?;
    if args.json {
        print_json(&status)?;
    } else {
        print(&text(&status))?;
    }
    Ok(())
}

fn look(directories: &Directories, args: &StatusArgs) -> Result<Status, Failure> {
    let database = directories.database();
    let routes = directories.routes();
    let mut status = Status {
        exists: database.exists(),
        database: database.display().to_string(),
        unlocked_by: None,
        locked: None,
        routes: routes_file::read(&routes).ok().map(|routes| routes.len()),
        routes_file: routes.display().to_string(),
        counts: None,
    };
    if !status.exists {
        return Ok(status);
    }
    let opened = match &args.unlock.passphrase_file {
        Some(_) => open(directories, &args.unlock)
            .map(|vault| (vault, "passphrase file".to_owned()))
            .map_err(|why| why.to_string()),
        // Not `open`: a status asks nobody.
        None => resolve(&sources(directories, &args.unlock))
            .map_err(|why| why.to_string())
            .and_then(|unlocked| {
                let vault = Vault::open(&database, &unlocked.passphrase);
                let tier = unlocked.tier.to_string();
                vault
                    .map(|vault| (vault, tier))
                    .map_err(|why| format!("{why} (passphrase from: {})", unlocked.tier))
            }),
    };
    match opened {
        Ok((vault, tier)) => {
            status.unlocked_by = Some(tier);
            status.counts = Some(counts(&vault)?);
        }
        Err(why) => status.locked = Some(why),
    }
    Ok(status)
}

fn counts(vault: &Vault) -> Result<Counts, Failure> {
    let assignments = vault.ssh_key_assignments()?;
    Ok(Counts {
        credentials: vault.credentials()?.len(),
        ssh_keys: assignments.iter().map(|a| a.key.id).collect::<BTreeSet<_>>().len(),
        ssh_scopes: assignments.iter().map(|a| a.scope.as_str()).collect::<BTreeSet<_>>().len(),
        tokens: vault.tokens()?.len(),
    })
}

fn text(status: &Status) -> String {
    let state = match (&status.unlocked_by, &status.locked) {
        (Some(tier), _) => format!("unlocked by the {tier}"),
        (None, Some(why)) => format!("locked: {}", why.lines().next().unwrap_or_default()),
        (None, None) => "not made yet; run `terokctl vault init`".to_owned(),
    };
    let routes = match status.routes {
        Some(n) => n.to_string(),
        None => "unusable; run `terokctl vault list` to see why".to_owned(),
    };
    let mut lines = vec![
        ("vault", status.database.clone()),
        ("state", state),
        ("routes", format!("{routes} in {}", status.routes_file)),
    ];
    if let Some(counts) = &status.counts {
        let keys = format!("{} in {}", counts.ssh_keys, count(counts.ssh_scopes, "scope"));
        lines.extend([
            ("credentials", counts.credentials.to_string()),
            ("ssh keys", keys),
            ("tokens", counts.tokens.to_string()),
        ]);
    }
    lines.iter().map(|(what, value)| format!("{what:<12} {}\n", printable(value))).collect()
}

//! `vault status`: where the vault is, who has its passphrase, what is in it. A locked or missing
//! vault is an answer, not a failure.

use std::collections::BTreeSet;

use serde::Serialize;
use vault_store::Vault;
use vault_store::unlock::{Outcome, Tier, walk};

use super::list::{self, Listed};
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
    /// Every tier that may have the passphrase, in the order in which supervisors ask. Empty where
    /// nobody was asked.
    tiers: Vec<TierStatus>,
    /// The tier whose passphrase opens the vault.
    unlocked_by: Option<String>,
    /// Why it is not open.
    locked: Option<String>,
    routes_file: String,
    /// `None` for a table that cannot be used.
    routes: Option<usize>,
    counts: Option<Counts>,
    /// Names, kinds and expiry; `None` for a vault that is not open.
    credentials: Option<Vec<Listed>>,
}

#[derive(Debug, Serialize)]
struct TierStatus {
    tier: String,
    /// `answered`, `nothing`, `broken` or `not asked`.
    outcome: &'static str,
    reason: Option<String>,
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
    let routes_file = directories.routes();
    let routes = routes_file::read(&routes_file).ok();
    let mut status = Status {
        exists: database.exists(),
        database: database.display().to_string(),
        tiers: vec![],
        unlocked_by: None,
        locked: None,
        routes: routes.as_ref().map(serde_json::Map::len),
        routes_file: routes_file.display().to_string(),
        counts: None,
        credentials: None,
    };
    if !status.exists {
        return Ok(status);
    }
    let opened = match &args.unlock.passphrase_file {
        Some(_) => open(directories, &args.unlock)
            .map(|vault| (vault, "passphrase file".to_owned()))
            .map_err(|why| why.to_string()),
        None => open_by_tiers(directories, args, &mut status.tiers),
    };
    match opened {
        Ok((vault, tier)) => {
            let is_routed =
                |provider: &str| routes.as_ref().is_some_and(|table| table.contains_key(provider));
            status.unlocked_by = Some(tier);
            status.counts = Some(counts(&vault)?);
            status.credentials = Some(list::listed(&vault, is_routed)?);
        }
        Err(why) => status.locked = Some(why),
    }
    Ok(status)
}

/// As `open`, but a status asks nobody at the terminal.
fn open_by_tiers(
    directories: &Directories,
    args: &StatusArgs,
    tiers: &mut Vec<TierStatus>,
) -> Result<(Vault, String), String> {
    let walk = walk(&sources(directories, &args.unlock));
    tiers.extend(walk.tiers.into_iter().map(tier_status));
    let Some(unlocked) = walk.unlocked else {
        let broken = tiers.iter().find(|one| one.outcome == "broken");
        return Err(match broken {
            Some(tier) => format!("the {} is set up and fails", tier.tier),
            None => "nobody has the passphrase".to_owned(),
        });
    };
    match Vault::open(&directories.database(), &unlocked.passphrase) {
        Ok(vault) => Ok((vault, unlocked.tier.to_string())),
        Err(why) => Err(format!("{why} (passphrase from: {})", unlocked.tier)),
    }
}

fn tier_status((tier, outcome): (Tier, Outcome)) -> TierStatus {
    let (outcome, reason) = match outcome {
        Outcome::Answered => ("answered", None),
        Outcome::Nothing(reason) => ("nothing", Some(reason)),
        Outcome::Broken(reason) => ("broken", Some(reason)),
        Outcome::NotAsked => ("not asked", None),
    };
    TierStatus { tier: tier.to_string(), outcome, reason }
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
    let mut lines = vec![("vault", status.database.clone()), ("state", state)];
    let tiers = status.tiers.iter().enumerate();
    lines.extend(tiers.map(|(n, tier)| (if n == 0 { "passphrase" } else { "" }, tier_text(tier))));
    lines.push(("routes", format!("{routes} in {}", status.routes_file)));
    if let Some(counts) = &status.counts {
        let keys = format!("{} in {}", counts.ssh_keys, count(counts.ssh_scopes, "scope"));
        lines.extend([
            ("ssh keys", keys),
            ("tokens", counts.tokens.to_string()),
            ("credentials", counts.credentials.to_string()),
        ]);
    }
    let mut text: String =
        lines.iter().map(|(what, value)| format!("{what:<12} {}\n", printable(value))).collect();
    if let Some(credentials) = status.credentials.as_ref().filter(|some| !some.is_empty()) {
        text.push('\n');
        text.push_str(&list::text(credentials));
    }
    text
}

fn tier_text(tier: &TierStatus) -> String {
    match &tier.reason {
        // The hint, if there is one, is on a line of its own.
        Some(reason) => format!("{}: {}", tier.tier, reason.replace('\n', "; ")),
        None => format!("{}: {}", tier.tier, tier.outcome),
    }
}

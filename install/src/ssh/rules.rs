//! `ssh rules`: what a key may be used for. The keeper holds every signature against them.

use serde::Serialize;
use vault_store::ssh_key::rules::{Rule, Rules};

use super::find;
use crate::Failure;
use crate::cli::KeyRulesArgs;
use crate::directories::Directories;
use crate::output::{count, print, print_json, printable, remark};
use crate::vault::open;

#[derive(Debug, Serialize)]
struct Shown {
    fingerprint: String,
    hosts: Vec<Host>,
    users: Vec<String>,
    namespaces: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Host {
    fingerprint: String,
    label: String,
}

/// Changes what is asked for, then shows what holds.
pub(super) fn run(directories: &Directories, args: &KeyRulesArgs) -> Result<(), Failure> {
    let mut vault = open(directories, &args.unlock)?;
    let key = find(&vault, &args.fingerprint)?;
    let added: Vec<Rule> =
        [&args.hosts, &args.users, &args.namespaces].into_iter().flatten().cloned().collect();
    if args.clear {
        let old = vault.replace_ssh_key_rules(&key.fingerprint, &added)?;
        remark(&format!("removed {}", count(old, "rule")));
    } else {
        for rule in &added {
            vault.add_ssh_key_rule(&key.fingerprint, rule)?;
        }
    }
    let rules = vault.ssh_key_rules(&key.fingerprint)?;
    if args.json {
        print_json(&shown(key.fingerprint, &rules))?;
    } else if rules.is_empty() {
        print("no rules: every login and every signed message")?;
    } else {
        let lines: Vec<String> = rules.iter().map(|rule| printable(&rule.to_string())).collect();
        print(&lines.join("\n"))?;
    }
    Ok(())
}

fn shown(fingerprint: String, rules: &Rules) -> Shown {
    let mut shown = Shown { fingerprint, hosts: vec![], users: vec![], namespaces: vec![] };
    for rule in rules.iter() {
        match rule {
            Rule::Host { fingerprint, label } => {
                let (fingerprint, label) = (fingerprint.clone(), label.clone());
                shown.hosts.push(Host { fingerprint, label });
            }
            Rule::User(pattern) => shown.users.push(pattern.to_string()),
            Rule::Namespace(pattern) => shown.namespaces.push(pattern.to_string()),
        }
    }
    shown
}

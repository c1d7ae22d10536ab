//! `terokctl ssh …`: keys that containers sign with through the vault.
//!
//! In: words of the operator, or a private key file. Out: public facts, and by `export` alone a key
//! file under a passphrase.

mod assign;
mod export;
mod import;
mod rules;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};
use vault_store::Vault;
use vault_store::scope::{Comment, ScopeName};
use vault_store::ssh_key::generate::generate;
use vault_store::ssh_key::{Assignment, KeyKind, KeyPair, PublicKey, SshKeyError};

use crate::Failure;
use crate::cli::{GenerateKeyArgs, KeyType, ListKeysArgs, OwnerArgs, PublicKeyArgs, SshCommand};
use crate::directories::Directories;
use crate::output::{print, print_json, remark, table, tell};
use crate::vault::open;

#[derive(Debug)]
enum SshError {
    NoSuchKey { fingerprint: String },
    NoKeys { scope: ScopeName },
    NotAssigned { fingerprint: String, scope: ScopeName },
}

/// A key and where it is used.
#[derive(Debug, Serialize)]
struct Listed {
    fingerprint: String,
    #[serde(rename = "type")]
    kind: &'static str,
    comment: String,
    scopes: Vec<String>,
    /// Those of the scopes that offer it first.
    default_in: Vec<String>,
    /// How many rules limit it; without any it may be used for everything.
    rules: usize,
}

pub(crate) fn run(directories: &Directories, command: SshCommand) -> Result<(), Failure> {
    match command {
        SshCommand::Generate(args) => generate_key(directories, &args),
        SshCommand::Import(args) => import::run(directories, &args),
        SshCommand::List(args) => list(directories, &args),
        SshCommand::Pub(args) => public(directories, &args),
        SshCommand::Assign(args) => assign::assign(directories, &args),
        SshCommand::Default(args) => assign::default(directories, &args),
        SshCommand::Remove(args) => assign::remove(directories, &args),
        SshCommand::Export(args) => export::run(directories, &args),
        SshCommand::Rules(args) => rules::run(directories, &args),
    }
}

fn generate_key(directories: &Directories, args: &GenerateKeyArgs) -> Result<(), Failure> {
    let mut vault = open(directories, &args.unlock)?;
    let kind = match args.key_type {
        KeyType::Ed25519 => KeyKind::Ed25519,
        KeyType::Rsa => KeyKind::Rsa,
    };
    let comment = match &args.owner.comment {
        Some(comment) => comment.clone(),
        None => Comment::parse(&format!("terok {}", args.owner.scope))?,
    };
    let pair = generate(kind, comment)?;
    store(&mut vault, &args.owner, &pair)?;
    Ok(tell(args.json, &pair.public_line(), &made(&args.owner, &pair))?)
}

/// A key that is in the vault now, for programs.
fn made(owner: &OwnerArgs, pair: &KeyPair) -> Value {
    json!({
        "fingerprint": pair.fingerprint(),
        "scope": owner.scope.as_str(),
        "public_key": pair.public_line(),
    })
}

/// Stores a pair for its scope; what is worth knowing about it goes to standard error.
fn store(vault: &mut Vault, owner: &OwnerArgs, pair: &KeyPair) -> Result<(), SshKeyError> {
    let added = vault.add_ssh_key(&owner.scope, pair)?;
    if owner.default {
        vault.set_default_ssh_key(&owner.scope, added.id)?;
    }
    let what = match (added.was_known, added.was_assigned) {
        (_, true) => "already has",
        (true, false) => "now also has",
        (false, false) => "has",
    };
    remark(&format!("scope {} {what} key {}", owner.scope, pair.fingerprint()));
    Ok(())
}

fn list(directories: &Directories, args: &ListKeysArgs) -> Result<(), Failure> {
    let vault = open(directories, &args.unlock)?;
    let assignments = vault.ssh_key_assignments()?;
    let wanted = |one: &Assignment| args.scope.as_ref().is_none_or(|s| s.as_str() == one.scope);
    let mut listed = by_key(assignments.into_iter().filter(wanted));
    for one in &mut listed {
        one.rules = vault.ssh_key_rules(&one.fingerprint)?.iter().count();
    }
    if args.json {
        print_json(&listed)?;
    } else if listed.is_empty() {
        remark("no keys; `terokctl ssh generate --scope SCOPE` makes one");
    } else {
        let row = |one: &Listed| {
            vec![
                one.fingerprint.clone(),
                one.kind.to_owned(),
                one.scopes.join(","),
                one.default_in.join(","),
                one.rules.to_string(),
                one.comment.clone(),
            ]
        };
        let rows: Vec<Vec<String>> = listed.iter().map(row).collect();
        let headings = ["FINGERPRINT", "TYPE", "SCOPES", "DEFAULT IN", "RULES", "COMMENT"];
        print(&table(&headings, &rows))?;
    }
    Ok(())
}

/// One entry for a key, however many scopes have it, in the order the keys were made.
fn by_key(assignments: impl Iterator<Item = Assignment>) -> Vec<Listed> {
    let mut keys: BTreeMap<_, Listed> = BTreeMap::new();
    for Assignment { scope, key, is_default } in assignments {
        let listed = keys.entry(key.id).or_insert_with(|| Listed {
            fingerprint: key.fingerprint,
            kind: key.kind.as_str(),
            comment: key.comment,
            scopes: vec![],
            default_in: vec![],
            rules: 0,
        });
        if is_default {
            listed.default_in.push(scope.clone());
        }
        listed.scopes.push(scope);
    }
    keys.into_values().collect()
}

fn public(directories: &Directories, args: &PublicKeyArgs) -> Result<(), Failure> {
    let vault = open(directories, &args.unlock)?;
    let keys = match (&args.fingerprint, &args.scope) {
        (Some(fingerprint), _) => vec![find(&vault, fingerprint)?],
        (None, Some(scope)) => match vault.ssh_keys(scope.as_str())? {
            none if none.is_empty() => return Err(SshError::NoKeys { scope: scope.clone() }.into()),
            keys => keys,
        },
        (None, None) => vec![],
    };
    let lines: Vec<String> = keys.iter().map(PublicKey::public_line).collect();
    Ok(tell(args.json, &lines.join("\n"), &json!(lines))?)
}

/// The key an operator means.
fn find(vault: &Vault, fingerprint: &str) -> Result<PublicKey, Failure> {
    let found = vault.find_ssh_key(fingerprint)?;
    Ok(found.ok_or_else(|| SshError::NoSuchKey { fingerprint: fingerprint.to_owned() })?)
}

impl fmt::Display for SshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchKey { fingerprint } => write!(
                f,
                "find key {fingerprint:?}: there is none\n\
                 hint: `terokctl ssh list` shows the fingerprints"
            ),
            Self::NotAssigned { fingerprint, scope } => write!(
                f,
                "scope {scope} does not have key {fingerprint}\n\
                 hint: `terokctl ssh list` shows who has which"
            ),
            Self::NoKeys { scope } => write!(
                f,
                "scope {scope} has no key\nhint: run `terokctl ssh generate --scope {scope}`"
            ),
        }
    }
}

impl std::error::Error for SshError {}

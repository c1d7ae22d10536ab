//! Allows one thing more to a stored key, for tests that need rules in a vault.
//!
//!   rule DATABASE FINGERPRINT host|user|namespace VALUE <PASSPHRASE
//!   rule DATABASE FINGERPRINT clear <PASSPHRASE

use std::error::Error;
use std::io;
use std::path::Path;

use terok_shared::secret::Secret;
use vault_store::Vault;
use vault_store::ssh_key::rules::Rule;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut passphrase = String::new();
    io::stdin().read_line(&mut passphrase)?;
    let passphrase = Secret::from(passphrase.trim_end_matches('\n').to_owned());
    let (database, fingerprint, rule) = match *words.as_slice() {
        [database, fingerprint, "clear"] => (database, fingerprint, None),
        [database, fingerprint, "host", text] => (database, fingerprint, Some(Rule::host(text)?)),
        [database, fingerprint, "user", text] => (database, fingerprint, Some(Rule::user(text)?)),
        [database, fingerprint, "namespace", text] => {
            (database, fingerprint, Some(Rule::namespace(text)?))
        }
        _ => return Err("usage: rule DATABASE FINGERPRINT KIND VALUE <PASSPHRASE".into()),
    };
    let mut vault = Vault::open(Path::new(database), &passphrase)?;
    match rule {
        Some(rule) => drop(vault.add_ssh_key_rule(fingerprint, &rule)?),
        None => drop(vault.clear_ssh_key_rules(fingerprint)?),
    }
    Ok(())
}

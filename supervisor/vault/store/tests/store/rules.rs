//! Rules of SSH keys as they are stored, and what an older reader sees of them.

use crate::fixture::{Copy, passphrase};
use vault_store::ssh_key::rules::{Rule, Rules};

const KEY: &str = "SHA256:4A9jyZBOhnKZvcGQ6TRFbf5Gymb41AfYvYaVmWHD+G4";
const HOST: &str = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU";

#[test]
fn rules_are_added_once_listed_and_removed() {
    let copy = Copy::of(4);
    let mut vault = copy.open();
    let rules =
        [Rule::host(HOST).unwrap(), Rule::namespace("git").unwrap(), Rule::user("git").unwrap()];
    for rule in &rules {
        assert!(vault.add_ssh_key_rule(KEY, rule).unwrap());
        assert!(!vault.add_ssh_key_rule(KEY, rule).unwrap());
    }
    assert_eq!(vault.ssh_key_rules(KEY).unwrap(), Rules::new(rules.clone()));
    assert!(vault.remove_ssh_key_rule(KEY, &rules[0]).unwrap());
    assert!(!vault.remove_ssh_key_rule(KEY, &rules[0]).unwrap());
    assert_eq!(vault.clear_ssh_key_rules(KEY).unwrap(), 2);
    assert!(vault.ssh_key_rules(KEY).unwrap().is_empty());
}

#[test]
fn a_vault_without_rules_has_no_table_for_them() {
    let copy = Copy::of(4);
    let mut vault = copy.open();
    assert!(vault.ssh_key_rules(KEY).unwrap().is_empty());
    assert_eq!(vault.clear_ssh_key_rules(KEY).unwrap(), 0);
    assert!(!vault.remove_ssh_key_rule(KEY, &Rule::user("x").unwrap()).unwrap());
    assert_eq!(tables_of_ours(&copy), 0);
    vault.add_ssh_key_rule(KEY, &Rule::user("git").unwrap()).unwrap();
    assert_eq!(tables_of_ours(&copy), 1);
}

#[test]
fn rules_leave_the_version_and_the_other_tables_as_they_are() {
    let copy = Copy::of(4);
    let before = others(&copy);
    copy.open().add_ssh_key_rule(KEY, &Rule::user("git").unwrap()).unwrap();
    assert_eq!(others(&copy), before);
}

#[test]
fn a_key_that_is_removed_and_comes_back_is_as_limited_as_before() {
    let copy = Copy::of(4);
    let mut vault = copy.open();
    let key = vault.ssh_keys("proj1").unwrap().remove(0);
    vault.add_ssh_key_rule(&key.fingerprint, &Rule::user("git").unwrap()).unwrap();
    assert!(vault.remove_ssh_key(key.id).unwrap());
    assert!(!vault.ssh_key_rules(&key.fingerprint).unwrap().is_empty());
}

fn raw(copy: &Copy) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(copy.path()).unwrap();
    connection.pragma_update(None, "key", passphrase().expose()).unwrap();
    connection
}

fn tables_of_ours(copy: &Copy) -> i64 {
    let count = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name LIKE 'ours\\_%' ESCAPE '\\'";
    raw(copy).query_row(count, (), |row| row.get(0)).unwrap()
}

/// `user_version`, and the text of every table and index that is not ours.
fn others(copy: &Copy) -> (i64, Vec<String>) {
    let connection = raw(copy);
    let version = connection.query_row("PRAGMA user_version", (), |row| row.get(0)).unwrap();
    let mut statement = connection
        .prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND tbl_name NOT LIKE 'ours%' ORDER BY name")
        .unwrap();
    let texts = statement.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    (version, texts)
}

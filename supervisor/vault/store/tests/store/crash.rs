//! Killed at any moment, a writer leaves a vault that opens and has all that was committed.
//!
//! The writers are this test program itself, started again as the one test that is named in the
//! arguments. Their passphrases are keys in SQLCipher's raw form, which need no derivation: the
//! killing would otherwise hit nothing else.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::fixture::{Copy, secret, token_info};
use terok_shared::secret::Secret;
use vault_store::Vault;
use vault_store::credential::Credential;

/// Names the database to a writer.
const DATABASE: &str = "TEROK_TEST_CRASH_DATABASE";

const WRITERS_KILLED: u64 = 200;
const CHANGES_KILLED: u64 = 100;

/// `x'…'` of 64 digits is taken as the key itself (zetetic.net/sqlcipher/sqlcipher-api/#key).
fn raw_key(digit: char) -> Secret<String> {
    secret(&format!("x'{}'", digit.to_string().repeat(64)))
}

/// This program again, with the test `name` alone.
fn start(name: &str, database: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env(DATABASE, database)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Delays that fall before, within and after the child's work. No two runs are alike anyway.
fn delay(round: u64) -> Duration {
    Duration::from_micros(round * 7919 % 40_000)
}

fn count(vault: &Vault) -> i64 {
    vault.credential("default", "counter").unwrap().unwrap().expires_at().unwrap()
}

#[test]
fn a_writer_killed_two_hundred_times_loses_nothing_it_committed() {
    let copy = Copy::absent();
    let mut vault = Vault::create(&copy.path(), &raw_key('a')).unwrap();
    let zero = Credential::parse(r#"{"key":"k","expires_at":0}"#).unwrap();
    vault.put_credential("default", "counter", &zero).unwrap();
    drop(vault);
    let mut committed = 0;
    for round in 0..WRITERS_KILLED {
        let mut child = start("crash::writer", &copy.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // Killed while it starts in every tenth round, else while it writes.
        if round % 10 != 0 {
            lines.find(|line| line.starts_with("writing"));
        }
        sleep(delay(round));
        child.kill().unwrap();
        child.wait().unwrap();
        let last = lines.filter_map(|line| line.strip_prefix("n=")?.parse().ok()).last();
        committed = last.unwrap_or(committed);

        let vault = Vault::open(&copy.path(), &raw_key('a')).unwrap();
        let stored = count(&vault);
        // One more may have been committed and not been told.
        assert!((committed..=committed + 1).contains(&stored), "{stored} of {committed}");
        committed = stored;
        if round % 20 == 0 {
            assert_eq!(vault.check(), [], "round {round}");
        }
    }
    assert!(committed > 200, "the writers were killed before they wrote: {committed}");
    assert_eq!(Vault::open(&copy.path(), &raw_key('a')).unwrap().check(), []);
}

#[test]
#[ignore = "the writer that another test kills"]
fn writer() {
    let Some(database) = env::var_os(DATABASE) else { return };
    let mut vault = Vault::open(Path::new(&database), &raw_key('a')).unwrap();
    println!("\nwriting");
    loop {
        let mut written = 0;
        vault
            .change_credential("default", "counter", |credential| {
                written = credential.expires_at().unwrap() + 1;
                credential.refreshed(&secret("a"), None, written);
            })
            .unwrap();
        println!("n={written}");
    }
}

#[test]
fn a_change_of_the_passphrase_killed_anywhere_leaves_one_that_opens_and_can_be_repeated() {
    let copy = Copy::absent();
    let mut vault = Vault::create(&copy.path(), &raw_key('a')).unwrap();
    for _ in 0..300 {
        vault.mint_token(&token_info("fake")).unwrap();
    }
    drop(vault);
    let (mut cut_short, mut half_written) = (0, 0);
    for round in 0..CHANGES_KILLED {
        let mut child = start("crash::changer", &copy.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        lines.find(|line| line.starts_with("changing"));
        sleep(delay(round));
        child.kill().unwrap();
        child.wait().unwrap();
        cut_short += u64::from(!lines.any(|line| line == "changed"));
        half_written += u64::from(copy.directory().join("credentials.db-journal").exists());

        let opens = ['a', 'b'].map(|key| Vault::open(&copy.path(), &raw_key(key)));
        assert_eq!(opens.iter().filter(|vault| vault.is_ok()).count(), 1, "round {round}");
        let vault = opens.into_iter().find_map(Result::ok).unwrap();
        assert_eq!(vault.tokens().unwrap().len(), 300, "round {round}");
        if round % 10 == 0 {
            assert_eq!(vault.check(), [], "round {round}");
        }
        drop(vault);
        Vault::change_passphrase(&copy.path(), &raw_key('a'), &raw_key('b')).unwrap();
        Vault::change_passphrase(&copy.path(), &raw_key('b'), &raw_key('a')).unwrap();
    }
    println!(
        "{cut_short} changes were cut short, {half_written} of them in the middle of the file"
    );
    assert!(cut_short > 10 && half_written > 0, "{cut_short} {half_written}");
}

#[test]
#[ignore = "the change that another test kills"]
fn changer() {
    let Some(database) = env::var_os(DATABASE) else { return };
    println!("\nchanging");
    Vault::change_passphrase(Path::new(&database), &raw_key('a'), &raw_key('b')).unwrap();
    println!("changed");
}

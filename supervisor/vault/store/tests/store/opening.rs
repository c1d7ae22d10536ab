//! Which files open, which are refused, and what opening and creating leave on disk.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use crate::fixture::{Copy, passphrase, secret};
use vault_store::Vault;
use vault_store::database::OpenError;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

fn open_error(copy: &Copy) -> OpenError {
    Vault::open(&copy.path(), &passphrase()).unwrap_err()
}

#[test]
fn a_wrong_passphrase_is_told_apart() {
    let copy = Copy::of(4);
    let error = Vault::open(&copy.path(), &secret("hunter2")).unwrap_err();
    assert!(matches!(error, OpenError::WrongPassphrase { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn an_empty_passphrase_neither_opens_nor_creates() {
    let copy = Copy::of(4);
    for result in [
        Vault::open(&copy.path(), &secret("")),
        Vault::create(&copy.directory().join("new.db"), &secret("")),
    ] {
        assert!(matches!(result.unwrap_err(), OpenError::EmptyPassphrase));
    }
    assert!(!copy.directory().join("new.db").exists());
}

#[test]
fn a_passphrase_with_a_nul_is_refused() {
    let copy = Copy::of(4);
    let error = Vault::open(&copy.path(), &secret("a\0b")).unwrap_err();
    assert!(matches!(error, OpenError::NulInPassphrase));
}

#[test]
fn a_missing_file_is_refused_and_not_made() {
    let copy = Copy::absent();
    let error = open_error(&copy);
    assert!(matches!(error, OpenError::Missing { .. }), "{error}");
    assert!(error.to_string().contains("\nhint: "));
    assert_eq!(fs::read_dir(copy.directory()).unwrap().count(), 0);
}

#[test]
fn files_that_are_no_vault_are_refused() {
    let copy = Copy::absent();
    fs::write(copy.path(), "").unwrap();
    assert!(matches!(open_error(&copy), OpenError::EmptyFile { .. }));
    fs::write(copy.path(), [b"SQLite format 3\0".as_slice(), &[0; 4080]].concat()).unwrap();
    assert!(matches!(open_error(&copy), OpenError::PlainText { .. }));
    fs::write(copy.path(), [7; 4096]).unwrap();
    assert!(matches!(open_error(&copy), OpenError::WrongPassphrase { .. }));
    fs::remove_file(copy.path()).unwrap();
    fs::create_dir(copy.path()).unwrap();
    assert!(matches!(open_error(&copy), OpenError::NotAFile { .. }));
}

#[test]
fn a_newer_version_is_refused_and_left_alone() {
    let copy = Copy::of(4);
    raw(&copy, "PRAGMA user_version = 5");
    let before = fs::read(copy.path()).unwrap();
    let error = open_error(&copy);
    assert!(matches!(error, OpenError::Newer { version: 5, .. }), "{error}");
    assert_eq!(fs::read(copy.path()).unwrap(), before);
}

#[test]
fn a_new_vault_is_private_and_complete() {
    let copy = Copy::absent();
    let path = copy.directory().join("state/vault/credentials.db");
    let vault = Vault::create(&path, &secret("it's \"new\" – é")).unwrap();
    assert!(vault.credentials().unwrap().is_empty());
    let directory = path.parent().unwrap();
    assert_eq!(mode(&path), 0o600);
    for created in [directory, directory.parent().unwrap()] {
        assert_eq!(mode(created), 0o700);
    }
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(mode(&entry.path()), 0o600, "{:?}", entry.file_name());
        assert!(entry.file_name().to_str().unwrap().starts_with("credentials.db"));
    }
    drop(vault);
    assert!(Vault::open(&path, &secret("it's \"new\" – é")).is_ok());
}

#[test]
fn an_existing_file_is_not_replaced() {
    let copy = Copy::of(4);
    let before = fs::read(copy.path()).unwrap();
    let error = Vault::create(&copy.path(), &secret("other")).unwrap_err();
    assert!(matches!(error, OpenError::Exists { .. }), "{error}");
    assert_eq!(fs::read(copy.path()).unwrap(), before);
}

#[test]
fn of_two_creators_one_wins_and_nothing_else_is_left() {
    let copy = Copy::absent();
    let outcomes: Vec<_> = thread::scope(|scope| {
        let create = || Vault::create(&copy.path(), &passphrase()).map(drop);
        let creators: Vec<_> = (0..4).map(|_| scope.spawn(create)).collect();
        creators.into_iter().map(|creator| creator.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for outcome in outcomes {
        assert!(matches!(outcome, Ok(()) | Err(OpenError::Exists { .. })), "{outcome:?}");
    }
    assert_eq!(fs::read_dir(copy.directory()).unwrap().count(), 1);
    copy.open();
}

#[test]
fn a_database_open_to_others_is_tightened() {
    let copy = Copy::of(4);
    fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o644)).unwrap();
    let _vault = copy.open();
    for entry in fs::read_dir(copy.directory()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[test]
fn data_version_changes_with_other_connections_alone() {
    let copy = Copy::of(4);
    let (mut ours, mut theirs) = (copy.open(), copy.open());
    let before = ours.data_version().unwrap();
    ours.mint_token(&crate::fixture::token_info("fake")).unwrap();
    assert_eq!(ours.data_version().unwrap(), before);
    theirs.mint_token(&crate::fixture::token_info("fake")).unwrap();
    assert_ne!(ours.data_version().unwrap(), before);
}

/// Changes a database past the store, as a later release would.
fn raw(copy: &Copy, sql: &str) {
    let connection = rusqlite::Connection::open(copy.path()).unwrap();
    connection.pragma_update(None, "key", passphrase().expose()).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.close().unwrap();
}

//! Another passphrase for the same file: when it is refused, and what it leaves.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::fixture::{Copy, passphrase, secret, token_info};
use vault_store::Vault;
use vault_store::database::{OpenError, RekeyError, Rekeyed};

const NEW: &str = "it's \"new\" – é";

fn change(copy: &Copy) -> Result<Rekeyed, RekeyError> {
    Vault::change_passphrase(&copy.path(), &passphrase(), &secret(NEW))
}

fn files(copy: &Copy) -> Vec<String> {
    let names = fs::read_dir(copy.directory()).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn the_new_passphrase_opens_everything_and_the_old_one_nothing() {
    let copy = Copy::of(4);
    let before = copy.open().credentials().unwrap();
    assert_eq!(change(&copy).unwrap(), Rekeyed::Changed);
    let vault = Vault::open(&copy.path(), &secret(NEW)).unwrap();
    assert_eq!(vault.credentials().unwrap(), before);
    assert_eq!(vault.check(), []);
    let refused = Vault::open(&copy.path(), &passphrase()).unwrap_err();
    assert!(matches!(refused, OpenError::WrongPassphrase { .. }), "{refused}");
    drop(vault);
    assert_eq!(files(&copy), ["credentials.db"]);
}

#[test]
fn a_database_that_another_process_has_open_keeps_its_passphrase() {
    let copy = Copy::of(4);
    let mut keeper = copy.open();
    keeper.mint_token(&token_info("fake")).unwrap();
    let refused = change(&copy).unwrap_err();
    assert!(matches!(refused, RekeyError::Held { .. }), "{refused}");
    assert!(refused.to_string().contains("\nhint: "));
    keeper.mint_token(&token_info("fake")).unwrap();
    drop(keeper);
    assert!(Vault::open(&copy.path(), &secret(NEW)).is_err());
    assert_eq!(change(&copy).unwrap(), Rekeyed::Changed);
}

#[test]
fn a_short_command_of_another_process_is_waited_for() {
    let copy = Copy::of(4);
    let other = copy.open();
    thread::scope(|threads| {
        threads.spawn(move || {
            thread::sleep(Duration::from_millis(300));
            drop(other);
        });
        assert_eq!(change(&copy).unwrap(), Rekeyed::Changed);
    });
}

#[test]
fn a_change_that_was_made_already_can_be_repeated() {
    let copy = Copy::of(4);
    change(&copy).unwrap();
    assert_eq!(change(&copy).unwrap(), Rekeyed::Already);
    Vault::open(&copy.path(), &secret(NEW)).unwrap();
}

#[test]
fn neither_an_empty_passphrase_nor_a_wrong_one_changes_anything() {
    let copy = Copy::of(4);
    let change = |old: &str, new: &str| {
        Vault::change_passphrase(&copy.path(), &secret(old), &secret(new)).unwrap_err()
    };
    let old = passphrase();
    for error in [change(old.expose(), ""), change("", NEW), change(old.expose(), "a\0b")] {
        assert!(
            matches!(
                error,
                RekeyError::Open(OpenError::EmptyPassphrase | OpenError::NulInPassphrase)
            ),
            "{error}"
        );
    }
    let error = change("hunter2", "hunter3");
    assert!(matches!(error, RekeyError::Open(OpenError::WrongPassphrase { .. })), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter"), "{error:?}");
    copy.open();
}

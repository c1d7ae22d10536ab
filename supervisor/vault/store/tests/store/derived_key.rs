//! The derived key in place of the passphrase: what it opens, and for how long.

use std::time::Instant;

use crate::fixture::{Copy, passphrase, secret, token_info};
use vault_store::Vault;
use vault_store::database::{OpenError, Rekeyed, is_derived};

#[test]
fn what_was_derived_opens_the_vault_at_once_and_the_passphrase_still_does() {
    let copy = Copy::of(4);
    let (mut vault, key) = Vault::open_deriving(&copy.path(), &passphrase()).unwrap();
    assert!(is_derived(key.expose()), "not a key");
    vault.mint_token(&token_info("fake")).unwrap();
    let before = vault.credentials().unwrap();
    drop(vault);
    let mut spent = [&passphrase(), &key].map(|opens| {
        let began = Instant::now();
        let vault = Vault::open(&copy.path(), opens).unwrap();
        assert_eq!(vault.credentials().unwrap(), before);
        began.elapsed()
    });
    // The derivation alone takes a multiple of everything else.
    spent[1] *= 3;
    assert!(spent[1] < spent[0], "{spent:?}");
    let (_, again) = Vault::open_deriving(&copy.path(), &key).unwrap();
    assert_eq!(again.expose(), key.expose());
}

#[test]
fn a_wrong_passphrase_derives_nothing_that_opens() {
    let copy = Copy::of(4);
    let refused = Vault::open_deriving(&copy.path(), &secret("hunter2")).unwrap_err();
    assert!(matches!(refused, OpenError::WrongPassphrase { .. }), "{refused}");
    let refused = Vault::open_deriving(&copy.path(), &secret("")).unwrap_err();
    assert!(matches!(refused, OpenError::EmptyPassphrase), "{refused}");
}

#[test]
fn the_passphrase_can_be_changed_by_who_has_the_derived_key_which_ends_with_it() {
    let copy = Copy::of(4);
    let (vault, key) = Vault::open_deriving(&copy.path(), &passphrase()).unwrap();
    drop(vault);
    let new = secret("another one");
    let changed = Vault::change_passphrase(&copy.path(), &key, &new).unwrap();
    assert_eq!(changed, Rekeyed::Changed);
    assert!(Vault::open(&copy.path(), &key).is_err());
    assert!(Vault::open(&copy.path(), &passphrase()).is_err());
    let (vault, new_key) = Vault::open_deriving(&copy.path(), &new).unwrap();
    assert_eq!(vault.check(), []);
    assert_ne!(new_key.expose(), key.expose());
}

#[test]
fn a_backup_opens_with_the_passphrase_and_with_the_derived_key() {
    let copy = Copy::of(4);
    let (vault, key) = Vault::open_deriving(&copy.path(), &passphrase()).unwrap();
    for (name, opened_by) in [("one.db", &key), ("two.db", &passphrase())] {
        let backup = copy.directory().join(name);
        Vault::open(&copy.path(), opened_by).unwrap().back_up(&backup).unwrap();
        for opens in [&key, &passphrase()] {
            let there = Vault::open(&backup, opens).unwrap();
            assert_eq!(there.credentials().unwrap(), vault.credentials().unwrap());
        }
    }
}

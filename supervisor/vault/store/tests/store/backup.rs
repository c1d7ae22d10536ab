//! Copies of a database that is in use.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use crate::fixture::{Copy, passphrase, token_info};
use vault_store::Vault;
use vault_store::database::OpenError;

#[test]
fn a_backup_is_a_private_vault_of_its_own_under_the_same_passphrase() {
    let copy = Copy::of(4);
    let mut vault = copy.open();
    // Only in the write-ahead log so far.
    let token = vault.mint_token(&token_info("fake")).unwrap();
    let target = copy.directory().join("kept/backup.db");
    fs::create_dir(target.parent().unwrap()).unwrap();
    vault.back_up(&target).unwrap();
    assert_eq!(fs::metadata(&target).unwrap().mode() & 0o7777, 0o600);
    assert_ne!(fs::read(&target).unwrap()[..15], *b"SQLite format 3");
    assert_eq!(fs::read_dir(target.parent().unwrap()).unwrap().count(), 1);

    let kept = Vault::open(&target, &passphrase()).unwrap();
    assert_eq!(kept.credentials().unwrap(), vault.credentials().unwrap());
    assert_eq!(kept.schema_version().unwrap(), 4);
    assert!(kept.token(token.expose()).unwrap().is_some());
    assert_eq!(kept.check(), []);
    vault.revoke_token(token.expose()).unwrap();
    assert!(kept.token(token.expose()).unwrap().is_some());
}

#[test]
fn nothing_that_exists_is_overwritten() {
    let copy = Copy::of(4);
    let vault = copy.open();
    let (file, link) = (copy.directory().join("file"), copy.directory().join("link"));
    fs::write(&file, "precious").unwrap();
    symlink(copy.directory().join("nowhere"), &link).unwrap();
    for target in [&file, &link, &copy.path()] {
        let refused = vault.back_up(target).unwrap_err();
        assert!(matches!(refused, OpenError::Exists { .. }), "{refused}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    let refused = vault.back_up(&copy.directory().join("no/such/place.db")).unwrap_err();
    assert!(matches!(refused, OpenError::Io { .. }), "{refused}");
    let names = fs::read_dir(copy.directory()).unwrap();
    let drafts =
        names.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with(".new"));
    assert_eq!(drafts.count(), 0);
}

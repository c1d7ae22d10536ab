//! Another program changes the passphrase under a reader.

use crate::fixture::{Copy, passphrase};

#[test]
fn a_reader_whose_key_was_changed_by_another_program_can_tell() {
    let copy = Copy::of(4);
    let reader = copy.open();
    assert!(reader.credentials().is_ok());
    let other = rusqlite::Connection::open(copy.path()).unwrap();
    other.pragma_update(None, "key", passphrase().expose()).unwrap();
    other.pragma_update(None, "rekey", "another one").unwrap();
    let error = reader.data_version().and_then(|_| reader.token("any")).unwrap_err();
    assert!(error.is_unreadable(), "{error}");
}

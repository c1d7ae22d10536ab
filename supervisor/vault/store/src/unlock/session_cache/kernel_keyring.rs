//! The session cache in the kernel's user keyring (keyrings(7), user-keyring(7)).
//!
//! In comes a database path; out comes the passphrase of the key named after it. The payload is
//! kernel memory: it is never swapped and goes with the last process of the user.

use std::path::Path;

use linux_keyutils::{Key, KeyError, KeyPermissions, KeyRing, KeyRingIdentifier};
use terok_shared::secret::Secret;
use zeroize::Zeroizing;

use super::digest;
use crate::unlock::{Answer, MAX_PASSPHRASE, passphrase_from};

const DESCRIPTION_PREFIX: &str = "terok-sandbox:vault-passphrase:";

/// Possessor: everything. The user's other processes: all but link. Nobody else.
const PERMISSIONS: u32 = 0x3f2f_0000;

/// Looks for the key. A keyring that cannot be used has nothing, like one without the key.
pub(in crate::unlock) fn ask(db_path: &Path) -> Answer {
    match digest(db_path).map(|digest| read(&description(&digest))) {
        Err(reason) => Answer::Nothing(reason),
        Ok(Err(error)) => Answer::Nothing(format!("not usable here: {}", words(error))),
        Ok(Ok(None)) => Answer::Nothing("no key for this vault".to_owned()),
        Ok(Ok(Some(bytes))) => match passphrase_from(bytes) {
            Ok(passphrase) => Answer::Passphrase(passphrase),
            Err(what) => Answer::Nothing(format!("the key for this vault {what}")),
        },
    }
}

pub(super) fn store(db_path: &Path, passphrase: &Secret<String>) -> Result<(), String> {
    let description = description(&digest(db_path)?);
    write(&description, passphrase).map_err(words)
}

/// Unlinks the key. That there is none is as good, and so is that this process has no keyring at
/// all: then neither had the one that would have stored it.
pub(super) fn remove(db_path: &Path) -> Result<(), String> {
    let description = description(&digest(db_path)?);
    let ring = match user_keyring() {
        Ok(ring) => ring,
        Err(error) => {
            log::warn!("kernel keyring is not usable here ({}): left alone", words(error));
            return Ok(());
        }
    };
    let removed = match find(ring, &description) {
        Ok(Some(key)) => ring.unlink_key(key),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    removed.map_err(|error| format!("kernel keyring: {}", words(error)))
}

/// The crate prints its variants' names; an operator knows the kernel's words.
fn words(error: KeyError) -> String {
    match error {
        KeyError::AccessDenied | KeyError::PermissionDenied => "permission denied".to_owned(),
        KeyError::QuotaExceeded => "key quota exceeded".to_owned(),
        KeyError::Unknown(errno) => std::io::Error::from_raw_os_error(errno).to_string(),
        other => other.to_string(),
    }
}

fn description(digest: &str) -> String {
    format!("{DESCRIPTION_PREFIX}{digest}")
}

fn user_keyring() -> Result<KeyRing, KeyError> {
    KeyRing::from_special_id(KeyRingIdentifier::User, false)
}

/// A key that was revoked or has expired can never be read again: it counts as absent.
fn find(ring: KeyRing, description: &str) -> Result<Option<Key>, KeyError> {
    match ring.search(description) {
        Ok(key) => Ok(Some(key)),
        Err(KeyError::KeyDoesNotExist | KeyError::KeyExpired | KeyError::KeyRevoked) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(description: &str) -> Result<Option<Secret<Vec<u8>>>, KeyError> {
    let Some(key) = find(user_keyring()?, description)? else { return Ok(None) };
    let mut buffer = Zeroizing::new([0u8; MAX_PASSPHRASE]);
    // The kernel tells the whole length, also of what did not fit (keyctl_read(3)).
    let length = key.read(&mut *buffer)?;
    Ok(buffer.get(..length).map(|payload| payload.to_vec().into()))
}

fn write(description: &str, passphrase: &Secret<String>) -> Result<(), KeyError> {
    let ring = user_keyring()?;
    // Setting permissions needs possession, which comes through the session keyring. A login
    // has linked the two already; where that fails, the permissions below decide.
    let _ = KeyRing::from_special_id(KeyRingIdentifier::Session, false)
        .and_then(|session| session.link_keyring(ring));
    let key = ring.add_key(description, passphrase.expose().as_bytes())?;
    key.set_perms(KeyPermissions::from_u32(PERMISSIONS)).inspect_err(|_| {
        // Without the right permissions it must not stay; the error below says enough.
        let _ = ring.unlink_key(key);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_passphrase_is_found_until_it_is_removed() {
        if let Err(error) = user_keyring() {
            println!("skipped: no user keyring here: {}", words(error));
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let db_path = directory.path().join("credentials.db");
        assert!(matches!(ask(&db_path), Answer::Nothing(_)));
        for text in ["first", "second, longer"] {
            store(&db_path, &text.to_owned().into()).unwrap();
            let Answer::Passphrase(found) = ask(&db_path) else { panic!("not found") };
            assert_eq!(found.expose(), text);
        }
        remove(&db_path).unwrap();
        assert!(matches!(ask(&db_path), Answer::Nothing(_)));
        remove(&db_path).unwrap();
    }
}

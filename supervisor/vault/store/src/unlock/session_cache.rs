//! The passphrase kept for the login session, in memory only.
//!
//! In comes a passphrase from an operator; later it goes out to a supervisor, and `forget` ends
//! it. Kept twice: the kernel keyring cannot be seen from inside a rootless user namespace, a
//! file can, and some hosts have only one of the two.

pub(super) mod file;
pub(super) mod kernel_keyring;

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};
use terok_shared::secret::Secret;

/// What became of the two backings: `Ok`, or why not.
#[derive(Debug)]
pub struct Backings {
    pub kernel_keyring: Result<(), String>,
    pub session_file: Result<(), String>,
}

/// Keeps a passphrase for the database in both backings. One of them is enough to unlock; which
/// failed is told, because a supervisor may be able to read only the other.
pub fn remember(
    session_directory: &Path,
    db_path: &Path,
    passphrase: &Secret<String>,
) -> Result<Backings, SessionCacheError> {
    let length = passphrase.expose().len();
    if length == 0 || length > super::MAX_PASSPHRASE {
        return Err(SessionCacheError::Length { length });
    }
    let backings = Backings {
        kernel_keyring: kernel_keyring::store(db_path, passphrase),
        session_file: file::store(session_directory, db_path, passphrase),
    };
    match (&backings.kernel_keyring, &backings.session_file) {
        (Err(keyring), Err(file)) => {
            Err(SessionCacheError::Nowhere { keyring: keyring.clone(), file: file.clone() })
        }
        _ => Ok(backings),
    }
}

/// Removes the passphrase for the database from both backings. An error means that one of them
/// may still hold it.
pub fn forget(session_directory: &Path, db_path: &Path) -> Result<(), SessionCacheError> {
    let keyring = kernel_keyring::remove(db_path);
    let file = file::remove(session_directory, db_path);
    match keyring.and(file) {
        Ok(()) => Ok(()),
        Err(reason) => Err(SessionCacheError::MayRemain { reason }),
    }
}

/// Why the cache is not as asked.
#[derive(Debug)]
pub enum SessionCacheError {
    Length { length: usize },
    Nowhere { keyring: String, file: String },
    MayRemain { reason: String },
}

impl fmt::Display for SessionCacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { length } => write!(
                f,
                "cache the passphrase: it has {length} bytes, 1 to {} are kept",
                super::MAX_PASSPHRASE
            ),
            Self::Nowhere { keyring, file } => {
                write!(f, "cache the passphrase: kernel keyring: {keyring}; session file: {file}")
            }
            Self::MayRemain { reason } => {
                write!(f, "forget the passphrase: it may still be cached: {reason}")
            }
        }
    }
}

impl std::error::Error for SessionCacheError {}

/// The name under which both backings keep the passphrase of one database on one host.
///
/// The host name keeps apart containers that share a keyring and use the same paths.
fn digest(db_path: &Path) -> Result<String, String> {
    let host =
        nix::unistd::gethostname().map_err(|error| format!("read the host name: {error}"))?;
    let path = absolute(db_path).map_err(|error| format!("read the working directory: {error}"))?;
    Ok(digest_of(host.as_bytes(), &path))
}

fn digest_of(host: &[u8], path: &Path) -> String {
    let digest = Sha256::new()
        .chain_update(host)
        .chain_update([0])
        .chain_update(path.as_os_str().as_bytes());
    hex::encode(&digest.finalize()[..16])
}

/// The path from the root, with `.` and `..` resolved as text. Links are left alone: every
/// program that names the cache does it this way.
fn absolute(path: &Path) -> std::io::Result<PathBuf> {
    let mut clean = PathBuf::new();
    for component in std::path::absolute(path)?.components() {
        match component {
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_half_of_the_hash_of_host_and_path() {
        // printf 'host\0/a/credentials.db' | sha256sum | cut -c1-32
        assert_eq!(
            digest_of(b"host", Path::new("/a/credentials.db")),
            "96051b87fb3e42f3da9dd2354dbbb046"
        );
    }

    #[test]
    fn paths_are_made_absolute_as_text() {
        for (path, clean) in
            [("/a/b/../c.db", "/a/c.db"), ("/a/./c.db", "/a/c.db"), ("/../c.db", "/c.db")]
        {
            assert_eq!(absolute(Path::new(path)).unwrap(), Path::new(clean));
        }
        assert!(absolute(Path::new("c.db")).unwrap().is_absolute());
    }
}

//! The lock that all supervisors of one operator share, ours and others: a file per login, held
//! with flock(2). It falls with the process that holds it.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::libc;
use sha2::{Digest, Sha256};
use vault_grant::refresh::Login;

/// Hex digits that keep apart names which read alike once their odd characters are gone.
const DIGITS: usize = 12;

#[derive(Debug)]
pub(crate) struct Lock {
    _file: Flock<File>,
}

#[derive(Debug)]
pub(crate) struct LockError {
    doing: &'static str,
    path: PathBuf,
    why: io::Error,
}

/// Makes the directory of the locks, 0700.
pub(crate) fn make_directory(directory: &Path) -> Result<(), LockError> {
    let failed = |why| LockError { doing: "make lock directory", path: directory.to_owned(), why };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).map_err(failed)
}

impl Lock {
    /// Takes the lock of `login`, or `None` when another has it.
    pub(crate) fn take(directory: &Path, login: &Login) -> Result<Option<Self>, LockError> {
        let path = directory.join(file_name(login));
        let failed = |why| LockError { doing: "open lock", path: path.clone(), why };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path)
            .map_err(failed)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Ok(Some(Self { _file: file })),
            Err((_, nix::Error::EWOULDBLOCK)) => Ok(None),
            Err((_, errno)) => Err(failed(errno.into())),
        }
    }
}

fn file_name(login: &Login) -> String {
    format!("refresh-{}-{}.lock", part(&login.credential_set), part(&login.provider))
}

fn part(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    let digest = hex::encode(Sha256::digest(name));
    format!("{}-{}", name.chars().map(plain).collect::<String>(), &digest[..DIGITS])
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.doing, self.path.display(), self.why)
    }
}

impl std::error::Error for LockError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(provider: &str) -> Login {
        Login { credential_set: "default".into(), provider: provider.into() }
    }

    #[test]
    fn names_are_those_of_other_supervisors() {
        assert_eq!(
            file_name(&login("a/../b c")),
            "refresh-default-37a8eec1ce19-a_.._b_c-9f3fd56c2280.lock"
        );
    }

    #[test]
    fn one_holder_at_a_time_per_login() {
        let directory = tempfile::tempdir().unwrap();
        let held = Lock::take(directory.path(), &login("p")).unwrap();
        assert!(held.is_some());
        assert!(Lock::take(directory.path(), &login("p")).unwrap().is_none());
        assert!(Lock::take(directory.path(), &login("q")).unwrap().is_some());
        drop(held);
        assert!(Lock::take(directory.path(), &login("p")).unwrap().is_some());
    }
}

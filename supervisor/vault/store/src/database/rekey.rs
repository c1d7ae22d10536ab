//! Another passphrase for the same file.
//!
//! In come the path and both passphrases; out comes a file that opens with the new one alone. The
//! pages are rewritten in place under a rollback journal and an exclusive lock: who waits for the
//! lock meets the new key, and a crash leaves a journal that puts the old pages back. Either
//! passphrase opens what a crash leaves, never none.

use std::fmt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use terok_shared::secret::Secret;

use super::{During, KeyStatement, OpenError, Vault, connect, refuse_unless_encrypted, run};

/// How long another's short command is waited for. A supervisor holds the file for much longer.
const PATIENCE: Duration = Duration::from_secs(1);

const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// What a change of the passphrase came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rekeyed {
    Changed,
    /// The new passphrase was the file's already, as after a change that was cut short.
    Already,
}

impl Vault {
    /// Gives the database another passphrase. Takes three key derivations, about 0.3 s, and a
    /// rewrite of the file.
    ///
    /// # Errors
    /// The file is not ours alone, or neither passphrase opens it. It is as it was before.
    pub fn change_passphrase(
        path: &Path,
        old: &Secret<String>,
        new: &Secret<String>,
    ) -> Result<Rekeyed, RekeyError> {
        let (old_key, new_key) = (KeyStatement::new(old)?, KeyStatement::new(new)?);
        refuse_unless_encrypted(path)?;
        let connection = match connect(path, &old_key) {
            Err(OpenError::WrongPassphrase { .. }) if connect(path, &new_key).is_ok() => {
                return Ok(Rekeyed::Already);
            }
            other => other?,
        };
        take_alone(&connection, path)?;
        // The error of this statement could quote it, and with it the passphrase.
        connection
            .execute_batch(&new_key.for_rekey())
            .map_err(|_| RekeyError::Refused { path: path.to_owned() })?;
        drop(connection);
        // Proves the key, and turns write-ahead mode on again.
        Self::open(path, new)?;
        Ok(Rekeyed::Changed)
    }
}

/// Leaves write-ahead mode, whose frames would stay under the old key, and keeps every other
/// connection out. Only one that is alone can leave that mode (sqlite.org/wal.html, "Activating And
/// Configuring WAL Mode"): it tells whether anybody else is there.
fn take_alone(connection: &Connection, path: &Path) -> Result<(), RekeyError> {
    let database = |source| OpenError::Database { path: path.to_owned(), source };
    run(connection, "PRAGMA locking_mode = EXCLUSIVE").map_err(database)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mode = connection
            .query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0))
            .during("leave write-ahead mode");
        match mode {
            Ok(mode) if mode == "delete" => break,
            Err(error) if !error.is_busy() => return Err(database(error).into()),
            _ if Instant::now() > deadline => {
                return Err(RekeyError::Held { path: path.to_owned() });
            }
            _ => sleep(BETWEEN_TRIES),
        }
    }
    match run(connection, "BEGIN EXCLUSIVE; COMMIT") {
        Err(error) if error.is_busy() => Err(RekeyError::Held { path: path.to_owned() }),
        other => Ok(other.map_err(database)?),
    }
}

/// Why the passphrase is still the old one.
#[derive(Debug)]
pub enum RekeyError {
    Open(OpenError),
    /// Another process has the database open, and would be left with a key that fits no more.
    Held {
        path: PathBuf,
    },
    /// The statement that rewrites the file failed; its own words are withheld.
    Refused {
        path: PathBuf,
    },
}

impl From<OpenError> for RekeyError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl fmt::Display for RekeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open(error) => error.fmt(f),
            Self::Held { path } => write!(
                f,
                "change the passphrase of vault {}: another process has it open; nothing was \
                 changed\nhint: stop the containers that use it, then try again",
                path.display()
            ),
            Self::Refused { path } => write!(
                f,
                "change the passphrase of vault {}: the file could not be rewritten; it still has \
                 the old one\nhint: look for free space beside it, then try again",
                path.display()
            ),
        }
    }
}

impl std::error::Error for RekeyError {}

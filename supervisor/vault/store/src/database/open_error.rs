//! The ways in which a database cannot be opened or created.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::DatabaseError;
use crate::schema::SchemaError;

/// Why there is no open database. No variant holds the passphrase.
#[derive(Debug)]
pub enum OpenError {
    /// SQLCipher would take it for "no encryption".
    EmptyPassphrase,
    /// Neither SQL text nor any other program could hold it.
    NulInPassphrase,
    Missing {
        path: PathBuf,
    },
    /// Only when creating.
    Exists {
        path: PathBuf,
    },
    NotAFile {
        path: PathBuf,
    },
    /// Zero bytes: any passphrase would fit.
    EmptyFile {
        path: PathBuf,
    },
    PlainText {
        path: PathBuf,
    },
    /// The statement that sets the key failed; its own words are withheld.
    KeyRefused {
        path: PathBuf,
    },
    /// SQLCipher cannot tell a wrong key from a file that is no database.
    WrongPassphrase {
        path: PathBuf,
    },
    /// Written by a later release: reading it right is not certain, writing it would harm.
    Newer {
        path: PathBuf,
        version: i64,
    },
    /// A key of the oldest schema could not be rewritten; nothing was changed.
    UnreadableOldKey {
        path: PathBuf,
        id: i64,
        reason: String,
    },
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    Database {
        path: PathBuf,
        source: DatabaseError,
    },
}

impl OpenError {
    pub(super) fn schema(path: &Path, error: SchemaError) -> Self {
        let path = path.to_owned();
        match error {
            SchemaError::Newer { version } => Self::Newer { path, version },
            SchemaError::UnreadableOldKey { id, reason } => {
                Self::UnreadableOldKey { path, id, reason }
            }
            SchemaError::Database(source) => Self::Database { path, source },
        }
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPassphrase => f.write_str("vault passphrase is empty"),
            Self::NulInPassphrase => f.write_str("vault passphrase holds a NUL character"),
            Self::Missing { path } => write!(
                f,
                "open vault {}: no such file\nhint: run terokctl vault init",
                path.display()
            ),
            Self::Exists { path } => {
                write!(f, "create vault {}: there is one already", path.display())
            }
            Self::NotAFile { path } => {
                write!(f, "open vault {}: not a regular file", path.display())
            }
            Self::EmptyFile { path } => write!(
                f,
                "open vault {}: the file is empty\nhint: remove it and run terokctl vault init",
                path.display()
            ),
            Self::PlainText { path } => {
                write!(f, "open vault {}: the database is not encrypted", path.display())
            }
            Self::KeyRefused { path } => {
                write!(f, "open vault {}: the passphrase could not be set", path.display())
            }
            Self::WrongPassphrase { path } => write!(
                f,
                "open vault {}: wrong passphrase, or the file is damaged\n\
                 hint: run terokctl vault unlock",
                path.display()
            ),
            Self::Newer { path, version } => write!(
                f,
                "open vault {}: schema version {version} is newer than the {} known here\n\
                 hint: use the release that wrote it, or a later one",
                path.display(),
                crate::schema::VERSION
            ),
            Self::UnreadableOldKey { path, id, reason } => {
                write!(f, "migrate vault {}: ssh key {id}: {reason}", path.display())
            }
            Self::Io { doing, path, source } => write!(f, "{doing} {}: {source}", path.display()),
            Self::Database { path, source } => write!(f, "vault {}: {source}", path.display()),
        }
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Database { source, .. } => Some(source),
            _ => None,
        }
    }
}

//! A statement that failed: what was being done, and SQLite's own words.

use std::fmt;

use rusqlite::ErrorCode;

/// A failed statement. Its text holds no value that was bound to the statement.
#[derive(Debug)]
pub struct DatabaseError {
    doing: &'static str,
    source: rusqlite::Error,
}

impl DatabaseError {
    pub(crate) fn new(doing: &'static str, source: rusqlite::Error) -> Self {
        Self { doing, source }
    }

    /// Whether the file can no longer be read with the key in use: it was given another
    /// passphrase, or it is damaged. Only opening it again can help.
    pub fn is_unreadable(&self) -> bool {
        is_not_a_database(&self.source)
            || self.source.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
    }

    /// Whether another process held the database for longer than we wait.
    pub fn is_busy(&self) -> bool {
        matches!(
            self.source.sqlite_error_code(),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
        )
    }
}

/// SQLCipher's answer to the first page read under a wrong key.
pub(super) fn is_not_a_database(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::NotADatabase)
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.doing, self.source)
    }
}

impl std::error::Error for DatabaseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Says what was being done when a statement failed.
pub(crate) trait During<T> {
    fn during(self, doing: &'static str) -> Result<T, DatabaseError>;
}

impl<T> During<T> for rusqlite::Result<T> {
    fn during(self, doing: &'static str) -> Result<T, DatabaseError> {
        self.map_err(|source| DatabaseError::new(doing, source))
    }
}

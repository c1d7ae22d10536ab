//! A copy of the database as it is at one moment, while others go on writing.
//!
//! In comes a path that does not exist yet; out comes a database of its own there, under the same
//! passphrase.

use std::path::Path;

use super::new_file::NewFile;
use super::{DatabaseError, OpenError, Vault, refuse_unless_encrypted};

impl Vault {
    /// Copies the database to `target` (mode 0600). An existing file is never touched, and a copy
    /// that was cut short has no name.
    ///
    /// # Errors
    /// The target exists, its directory does not, or the disk is full.
    pub fn back_up(&self, target: &Path) -> Result<(), OpenError> {
        if target.symlink_metadata().is_ok() {
            return Err(OpenError::Exists { path: target.to_owned() });
        }
        let file = NewFile::beside(target)?;
        // sqlite.org/lang_vacuum.html: the copy is of one read transaction. SQLCipher gives it the
        // key of the database it comes from.
        let copied =
            file.path().to_str().ok_or_else(|| OpenError::NotAFile { path: target.into() });
        self.connection().execute("VACUUM INTO ?", [copied?]).map_err(|source| {
            let source = DatabaseError::new("copy the database", source);
            OpenError::Database { path: target.to_owned(), source }
        })?;
        refuse_unless_encrypted(file.path())?;
        file.name(target)
    }
}

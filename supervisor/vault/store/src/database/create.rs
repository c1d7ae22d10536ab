//! A new database file, complete before it has its name.
//!
//! In come the final path and the key; out comes a file with the current schema, or nothing.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::new_file::{NewFile, directory_of, failed};
use super::{DatabaseError, KeyStatement, OpenError, connect};
use crate::schema;

/// Builds the database beside `path` and links it there: two creators at once leave one database,
/// and one of them is told.
pub(super) fn complete_file(path: &Path, key: &KeyStatement) -> Result<(), OpenError> {
    if path.symlink_metadata().is_ok() {
        return Err(OpenError::Exists { path: path.to_owned() });
    }
    let directory = directory_of(path);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| failed("make directory", directory, source))?;

    let file = NewFile::beside(path)?;
    let mut connection = connect(file.path(), key)?;
    schema::bring_up_to_date(&mut connection).map_err(|source| OpenError::schema(path, source))?;
    // The last connection folds the write-ahead log into the file and removes it.
    connection.close().map_err(|(_, source)| OpenError::Database {
        path: path.to_owned(),
        source: DatabaseError::new("finish the file", source),
    })?;
    file.name(path)
}

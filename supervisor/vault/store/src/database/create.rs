//! A new database file, complete before it has its name.
//!
//! In come the final path and the key; out comes a file with the current schema, or nothing.

use std::fs::{self, DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{DatabaseError, KeyStatement, OpenError, connect};
use crate::schema;

/// Builds the database beside `path` and links it there. An existing file is refused by `link(2)`
/// itself, so two creators at once leave one database, and one of them is told.
pub(super) fn complete_file(path: &Path, key: &KeyStatement) -> Result<(), OpenError> {
    if path.symlink_metadata().is_ok() {
        return Err(OpenError::Exists { path: path.to_owned() });
    }
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .map_err(|source| io("make directory", directory, source))?;

    let unfinished = Unfinished::in_directory(directory)?;
    let mut connection = connect(&unfinished.0, key)?;
    schema::bring_up_to_date(&mut connection).map_err(|source| OpenError::schema(path, source))?;
    // The last connection folds the write-ahead log into the file and removes it.
    connection.close().map_err(|(_, source)| OpenError::Database {
        path: path.to_owned(),
        source: DatabaseError::new("finish the file", source),
    })?;

    match fs::hard_link(&unfinished.0, path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(OpenError::Exists { path: path.to_owned() })
        }
        other => other.map_err(|source| io("name", path, source)),
    }
}

/// The nameless stage of a database. Whatever happens, nothing of it stays.
struct Unfinished(PathBuf);

impl Unfinished {
    fn in_directory(directory: &Path) -> Result<Self, OpenError> {
        let mut random = [0u8; 8];
        getrandom::fill(&mut random).map_err(|error| {
            io("name a new file in", directory, std::io::Error::other(error.to_string()))
        })?;
        let path = directory.join(format!(".new-{}.db", hex::encode(random)));
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| io("create", &path, source))?;
        Ok(Self(path))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.0.clone().into_os_string();
            name.push(suffix);
            // Most of these do not exist, and an orphan would be an encrypted, empty database.
            let _ = fs::remove_file(name);
        }
    }
}

fn io(doing: &'static str, path: &Path, source: std::io::Error) -> OpenError {
    OpenError::Io { doing, path: path.to_owned(), source }
}

//! A database file while it is being made: private, under a name nobody looks for.
//!
//! In come a directory and, when the file is complete, its name; whatever happens before, nothing
//! of it stays.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::OpenError;

pub(super) struct NewFile(PathBuf);

impl NewFile {
    /// An empty file (mode 0600) in the directory that `path` will be in.
    pub(super) fn beside(path: &Path) -> Result<Self, OpenError> {
        let directory = directory_of(path);
        let mut random = [0u8; 8];
        getrandom::fill(&mut random).map_err(|error| {
            failed("name a new file in", directory, io::Error::other(error.to_string()))
        })?;
        let path = directory.join(format!(".new-{}.db", hex::encode(random)));
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(|source| failed("create", &path, source))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Gives the file its name once it is on the disk. An existing one is refused by link(2)
    /// itself, so of two at once one is told.
    pub(super) fn name(self, path: &Path) -> Result<(), OpenError> {
        File::open(&self.0)
            .and_then(|file| file.sync_all())
            .map_err(|source| failed("write", &self.0, source))?;
        match fs::hard_link(&self.0, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(OpenError::Exists { path: path.to_owned() })
            }
            other => other.map_err(|source| failed("name", path, source)),
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.0.clone().into_os_string();
            name.push(suffix);
            // Most of these do not exist, and an orphan would be an encrypted database.
            let _ = fs::remove_file(name);
        }
    }
}

/// Where the file is or will be.
pub(super) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

pub(super) fn failed(doing: &'static str, path: &Path, source: io::Error) -> OpenError {
    OpenError::Io { doing, path: path.to_owned(), source }
}

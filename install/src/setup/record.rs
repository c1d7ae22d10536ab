//! What setup changed outside its own directories, kept in `<state_dir>/setup.json` (0600) so that
//! uninstall takes back exactly that.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::changes::Change;
use super::containers_conf::Registration;

const VERSION: u32 = 1;

/// The record. A setup that runs again adds to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    /// Directories that setup made, parents first.
    pub(super) made_dirs: Vec<PathBuf>,
    /// Descriptors of another package, by the name they had.
    pub(super) set_aside: Vec<PathBuf>,
    pub(super) registrations: Vec<Registration>,
}

/// Why the record cannot be used.
#[derive(Debug)]
pub(crate) enum Error {
    Unreadable { path: PathBuf, source: io::Error },
    Malformed { path: PathBuf, source: serde_json::Error },
    Newer { path: PathBuf, version: u32 },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => write!(f, "read {}: {source}", path.display()),
            Self::Malformed { path, source } => write!(
                f,
                "read {}: {source}\nhint: remove the file and run setup again; uninstall will then leave older entries in containers.conf",
                path.display()
            ),
            Self::Newer { path, version } => write!(
                f,
                "read {}: version {version}, this terokctl knows {VERSION}\nhint: use the terokctl that wrote it",
                path.display()
            ),
        }
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            version: VERSION,
            made_dirs: Vec::new(),
            set_aside: Vec::new(),
            registrations: Vec::new(),
        }
    }
}

impl Record {
    pub(super) fn path(state_dir: &Path) -> PathBuf {
        state_dir.join("setup.json")
    }

    /// Reads it; an empty one when there is none.
    ///
    /// # Errors
    /// A file that cannot be read, is not ours, or comes from a newer terokctl.
    pub(super) fn load(state_dir: &Path) -> Result<Self, Error> {
        let path = Self::path(state_dir);
        let text = match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => return Err(Error::Unreadable { path, source }),
            Ok(text) => text,
        };
        match serde_json::from_slice::<Self>(&text) {
            Err(source) => Err(Error::Malformed { path, source }),
            Ok(Self { version, .. }) if version > VERSION => Err(Error::Newer { path, version }),
            Ok(record) => Ok(record),
        }
    }

    /// Notes an entry in containers.conf; an older one for the same file was undone by hand.
    pub(super) fn register(&mut self, registration: Registration) {
        self.registrations.retain(|older| older.file != registration.file);
        self.registrations.push(registration);
    }

    /// Notes every directory that the changes will make.
    pub(super) fn note_dirs<'a>(&mut self, changes: impl Iterator<Item = &'a Change>) {
        for change in changes {
            if let Change::MakeDir { path, .. } = change
                && !self.made_dirs.contains(path)
            {
                self.made_dirs.push(path.clone());
            }
        }
    }

    /// Notes descriptors that are renamed away.
    pub(super) fn note_set_aside(&mut self, originals: Vec<PathBuf>) {
        for original in originals {
            if !self.set_aside.contains(&original) {
                self.set_aside.push(original);
            }
        }
    }

    pub(super) fn to_change(&self, state_dir: &Path) -> Change {
        let mut contents = serde_json::to_vec_pretty(self).expect("paths of the record are UTF-8");
        contents.push(b'\n');
        Change::Write { path: Self::path(state_dir), contents, mode: 0o600 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_is_an_empty_record() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Record::load(dir.path()).unwrap(), Record::default());
    }

    #[test]
    fn a_record_of_a_newer_terokctl_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let newer = Record { version: VERSION + 1, ..Record::default() };
        fs::write(Record::path(dir.path()), serde_json::to_vec(&newer).unwrap()).unwrap();
        assert!(matches!(Record::load(dir.path()), Err(Error::Newer { .. })));
    }

    #[test]
    fn a_torn_record_is_refused_with_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(Record::path(dir.path()), "{\"version\": 1").unwrap();
        assert!(Record::load(dir.path()).unwrap_err().to_string().contains("\nhint: "));
    }
}

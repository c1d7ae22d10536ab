//! The one bare mirror this gate serves, and whether it is still the directory it was at the start.
//!
//! The Landlock lane holds on to a directory, not to a name: a mirror that appears later, or is
//! deleted and made again, is out of reach until the gate is started anew.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::route::Repository;

#[derive(Debug)]
pub(crate) struct Mirror {
    base: PathBuf,
    path: PathBuf,
    at_start: Option<Identity>,
}

/// Device and inode.
type Identity = (u64, u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// There, and the one of the start.
    Served,
    Absent,
    /// There, but not the one of the start.
    Changed,
}

impl Mirror {
    /// The mirror of `repository` below `base`, present or not. `base` may be a symbolic link; it
    /// is followed now and not again.
    pub(crate) fn locate(base: &Path, repository: &Repository) -> Self {
        let base = fs::canonicalize(base).unwrap_or_else(|_| base.to_owned());
        let path = base.join(repository.directory());
        let at_start = identity(&path);
        Self { base, path, at_start }
    }

    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// The file beside it that says what may be pushed.
    pub(crate) fn policy_file(&self) -> PathBuf {
        self.path.with_extension("policy.json")
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn presence(&self) -> Presence {
        match (identity(&self.path), self.at_start) {
            (None, _) => Presence::Absent,
            (now, start) if now == start => Presence::Served,
            _ => Presence::Changed,
        }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    let metadata = fs::metadata(path).ok()?;
    metadata.is_dir().then(|| (metadata.dev(), metadata.ino()))
}

//! An OCI bundle's `config.json` (runtime-spec, config.md) that is to call our hooks, for runtimes
//! whose caller has no hooks directory: Docker, containerd, `crun run`, `runc run`.
//!
//! In: the file, bounded. Out: the same file with our hooks added, renamed into place complete.
//! What is decided is in `config`; this file reads and writes.

mod config;

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

pub use config::{Config, ConfigError, Hooks, STAGES, VARIABLE, Variable};

/// Docker writes some 20 KiB; an orchestrator's environment can make it a few hundred.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

#[derive(Debug)]
pub enum BundleError {
    Read { path: PathBuf, why: io::Error },
    NotRegular { path: PathBuf },
    TooLarge { path: PathBuf },
    Config { path: PathBuf, why: ConfigError },
    Write { path: PathBuf, why: io::Error },
}

/// A bundle's configuration and the file it came from.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    facts: fs::Metadata,
    config: Config,
}

impl Bundle {
    /// Reads `path`, usually `<bundle>/config.json`.
    ///
    /// # Errors
    /// Not a regular file of at most 8 MiB, reached without a symbolic link in its last component,
    /// or not the JSON of a configuration.
    pub fn read(path: &Path) -> Result<Self, BundleError> {
        let failed = |why| BundleError::Read { path: path.to_owned(), why };
        let mut file = OpenOptions::new()
            .read(true)
            // A FIFO must not make us wait for its writer.
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)
            .map_err(failed)?;
        let facts = file.metadata().map_err(failed)?;
        if !facts.is_file() {
            return Err(BundleError::NotRegular { path: path.to_owned() });
        }
        let mut text = Vec::new();
        Read::by_ref(&mut file).take(MAX_BYTES + 1).read_to_end(&mut text).map_err(failed)?;
        if text.len() as u64 > MAX_BYTES {
            return Err(BundleError::TooLarge { path: path.to_owned() });
        }
        let config = Config::parse(&text)
            .map_err(|why| BundleError::Config { path: path.to_owned(), why })?;
        Ok(Self { path: path.to_owned(), facts, config })
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Changes the configuration by `change`, which says whether there was anything to change, and
    /// then writes it.
    ///
    /// # Errors
    /// `change` refused, or the file could not be replaced; then it is as it was.
    pub fn update(
        mut self,
        change: impl FnOnce(&mut Config) -> Result<bool, ConfigError>,
    ) -> Result<bool, BundleError> {
        let changed = change(&mut self.config)
            .map_err(|why| BundleError::Config { path: self.path.clone(), why })?;
        if changed {
            self.write().map_err(|why| BundleError::Write { path: self.path.clone(), why })?;
        }
        Ok(changed)
    }

    /// The new file has the old one's owner and mode. It is not synced: a crash of the machine
    /// ends the container that it was for.
    fn write(&self) -> io::Result<()> {
        let unfinished = self.unfinished();
        let written = self.write_to(&unfinished).and_then(|()| fs::rename(&unfinished, &self.path));
        if written.is_err() {
            // The first failure is the one to report.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    fn write_to(&self, path: &Path) -> io::Result<()> {
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(path)?;
        let made = file.metadata()?;
        let owner = (self.facts.uid(), self.facts.gid());
        if owner != (made.uid(), made.gid()) {
            fchown(&file, Some(owner.0), Some(owner.1))?;
        }
        file.set_permissions(fs::Permissions::from_mode(self.facts.mode() & 0o7777))?;
        file.write_all(&self.config.text())
    }

    fn unfinished(&self) -> PathBuf {
        let mut name = OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(format!(".terok-{}", std::process::id()));
        self.path.with_file_name(name)
    }
}

impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, why } => write!(f, "read {}: {why}", path.display()),
            Self::NotRegular { path } => write!(f, "read {}: not a regular file", path.display()),
            Self::TooLarge { path } => {
                write!(f, "read {}: more than {MAX_BYTES} bytes", path.display())
            }
            Self::Config { path, why } => write!(f, "{}: {why}", path.display()),
            Self::Write { path, why } => write!(f, "replace {}: {why}", path.display()),
        }
    }
}

impl std::error::Error for BundleError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn a_change_replaces_the_file_and_keeps_its_mode() {
        let (dir, path) = bundle("{}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let changed =
            Bundle::read(&path).unwrap().update(|config| config.annotate("/s/sidecar/w.json"));
        assert!(changed.unwrap());
        assert!(fs::read_to_string(&path).unwrap().contains("/s/sidecar/w.json"));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn without_a_change_the_file_is_not_touched() {
        let (_dir, path) = bundle("{ }");
        let before = fs::metadata(&path).unwrap().ino();
        assert!(!Bundle::read(&path).unwrap().update(|_| Ok(false)).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().ino(), before);
    }

    #[test]
    fn what_is_not_a_plain_file_is_refused() {
        let (dir, path) = bundle("{}");
        let link = dir.path().join("link.json");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(Bundle::read(&link), Err(BundleError::Read { .. })));
        assert!(matches!(Bundle::read(dir.path()), Err(BundleError::NotRegular { .. })));
    }

    #[test]
    fn a_configuration_without_end_is_bounded() {
        let (_dir, path) = bundle("");
        File::options().write(true).open(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(matches!(Bundle::read(&path), Err(BundleError::TooLarge { .. })));
    }
}

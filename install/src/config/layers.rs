//! The configuration files: where they are, and whether they may be believed.
//!
//! `/etc/terok/config.yml`, and for a user `~/.config/terok/config.yml` over it; with
//! `TEROK_CONFIG_FILE` that one alone. A file can name a program that terokctl runs, so it must be
//! the operator's own or root's, and nobody else may write it.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::File;

/// Names one file, which is then the only one.
const FILE_VARIABLE: &str = "TEROK_CONFIG_FILE";

const SYSTEM: &str = "/etc/terok/config.yml";

/// Far more than any tool's settings.
const MAX_BYTES: u64 = 256 * 1024;

#[derive(Debug)]
pub(crate) enum ConfigError {
    Read { path: PathBuf, why: io::Error },
    TooLarge { path: PathBuf, bytes: u64 },
    Owner { path: PathBuf, owner: u32 },
    Writable { path: PathBuf, mode: u32 },
    NotYaml { path: PathBuf, line: usize },
    Value { path: PathBuf, line: usize, key: String, expected: &'static str },
    Variable { name: &'static str, expected: &'static str },
}

/// One place that was looked at.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) path: PathBuf,
    pub(crate) found: bool,
}

/// All files, laid over each other.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    pub(crate) file: File,
    /// Lowest precedence first.
    pub(crate) seen: Vec<Seen>,
}

impl Layers {
    /// Reads the files of the user `uid`. Absent ones are no error, but for one that a variable
    /// names.
    ///
    /// # Errors
    /// A file that cannot be read, is not to be believed, or says something senseless.
    pub(crate) fn read(
        uid: u32,
        home: Option<&Path>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, ConfigError> {
        let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let named = set(FILE_VARIABLE);
        let must_exist = named.is_some();
        let paths = match named {
            Some(named) => vec![named],
            None => usual(uid, set("XDG_CONFIG_HOME"), home),
        };
        let mut layers = Self::default();
        for path in paths {
            let text = match text(&path, uid) {
                Err(ConfigError::Read { why, .. })
                    if why.kind() == io::ErrorKind::NotFound && !must_exist =>
                {
                    None
                }
                text => Some(text?),
            };
            if let Some(text) = &text {
                layers.file = layers.file.overlaid(File::parse(&path, text, home)?);
            }
            layers.seen.push(Seen { path, found: text.is_some() });
        }
        for key in &layers.file.unknown {
            log::warn!("{}: unknown key {}, passed over", key.origin, key.value);
        }
        Ok(layers)
    }
}

fn usual(uid: u32, config_home: Option<PathBuf>, home: Option<&Path>) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::from(SYSTEM)];
    // Relative ones do not count (XDG base directory specification 0.8).
    let own = config_home
        .filter(|path| path.is_absolute())
        .or_else(|| home.map(|home| home.join(".config")));
    if let Some(own) = own.filter(|_| uid != 0) {
        paths.push(own.join("terok/config.yml"));
    }
    paths
}

fn text(path: &Path, uid: u32) -> Result<String, ConfigError> {
    let failed = |why| ConfigError::Read { path: path.to_owned(), why };
    let file = fs::File::open(path).map_err(failed)?;
    let facts = file.metadata().map_err(failed)?;
    if ![0, uid].contains(&facts.uid()) {
        return Err(ConfigError::Owner { path: path.to_owned(), owner: facts.uid() });
    }
    if facts.mode() & 0o002 != 0 {
        return Err(ConfigError::Writable { path: path.to_owned(), mode: facts.mode() & 0o7777 });
    }
    if facts.len() > MAX_BYTES {
        return Err(ConfigError::TooLarge { path: path.to_owned(), bytes: facts.len() });
    }
    let mut text = String::new();
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, why } => write!(f, "read configuration {}: {why}", path.display()),
            Self::TooLarge { path, bytes } => {
                let path = path.display();
                write!(f, "read configuration {path}: {bytes} bytes, at most {MAX_BYTES}")
            }
            Self::Owner { path, owner } => write!(
                f,
                "read configuration {}: owned by uid {owner}, neither yours nor root's\n\
                 hint: it can name programs to run; make a copy of your own",
                path.display()
            ),
            Self::Writable { path, mode } => write!(
                f,
                "read configuration {0}: mode {mode:04o} lets everybody write\n\
                 hint: run chmod o-w {0}",
                path.display()
            ),
            Self::NotYaml { path, line } => {
                write!(f, "{}:{line}: not YAML from here on\nhint: correct it", path.display())
            }
            Self::Value { path, line, key, expected } => write!(
                f,
                "{}:{line}: {key}: {expected}\nhint: correct the line or remove it",
                path.display()
            ),
            Self::Variable { name, expected } => {
                write!(f, "{name}: expected {expected}\nhint: correct the variable or unset it")
            }
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn own_uid() -> u32 {
        nix::unistd::geteuid().as_raw()
    }

    #[test]
    fn root_reads_the_systems_file_and_a_user_the_own_one_over_it() {
        let system = Path::new(SYSTEM);
        assert_eq!(usual(0, Some("/c".into()), Some(Path::new("/root"))), [system]);
        let own = usual(7, None, Some(Path::new("/h")));
        assert_eq!(own, [system, Path::new("/h/.config/terok/config.yml")]);
        let xdg = usual(7, Some("/c".into()), Some(Path::new("/h")));
        assert_eq!(xdg[1], Path::new("/c/terok/config.yml"));
        assert_eq!(usual(7, Some("c".into()), None), [system]);
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let named = |name: &str| (name == FILE_VARIABLE).then(|| "/nowhere/c.yml".into());
        let error = Layers::read(7, None, named).unwrap_err();
        assert!(error.to_string().contains("/nowhere/c.yml"), "{error}");
    }

    #[test]
    fn a_file_that_others_can_write_is_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.yml");
        fs::write(&path, "services: {mode: tcp}\n").unwrap();
        let read = || {
            let named = |name: &str| (name == FILE_VARIABLE).then(|| path.clone().into_os_string());
            Layers::read(own_uid(), None, named)
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        assert!(read().unwrap().file.mode.is_some());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(read(), Err(ConfigError::Writable { .. })));
        assert!(own_uid() == 0 || text(Path::new("/proc/self/mem"), 1).is_err());
    }
}

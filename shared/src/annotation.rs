//! The annotation that asks for us, and the sidecar path it carries.
//!
//! Whoever can write `podman run --annotation` chooses the value, so the path is judged by its
//! words before anything is opened: absolute, no `..`, in a directory named `sidecar`.

use std::fmt;
use std::path::{Component, Path, PathBuf};

/// The annotation's key; its value is the absolute path of a sidecar.
pub const KEY: &str = "terok.sandbox.sidecar";

/// `PATH_MAX` of linux/limits.h: longer never opens.
const MAX_PATH: usize = 4096;

/// A path of the form `<state root>/sidecar/<name>.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SidecarPath {
    path: PathBuf,
    state_root: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    Empty,
    TooLong(usize),
    ControlCharacter,
    Relative(PathBuf),
    ParentReference(PathBuf),
    NotInSidecarDirectory(PathBuf),
}

impl SidecarPath {
    pub fn parse(value: &str) -> Result<Self, PathError> {
        if value.is_empty() {
            return Err(PathError::Empty);
        }
        if value.len() > MAX_PATH {
            return Err(PathError::TooLong(value.len()));
        }
        if value.chars().any(char::is_control) {
            return Err(PathError::ControlCharacter);
        }
        let path = PathBuf::from(value);
        if !path.is_absolute() {
            return Err(PathError::Relative(path));
        }
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(PathError::ParentReference(path));
        }
        let directory = path.parent();
        let named_sidecar = directory.and_then(Path::file_name).is_some_and(|n| n == "sidecar");
        match directory.and_then(Path::parent) {
            Some(root) if named_sidecar && path.file_name().is_some() => {
                let state_root = root.to_owned();
                Ok(Self { path, state_root })
            }
            _ => Err(PathError::NotInSidecarDirectory(path)),
        }
    }

    pub fn as_path(&self) -> &Path {
        &self.path
    }

    /// The directory that holds `sidecar`, `logs` and `pids`.
    pub fn state_root(&self) -> &Path {
        &self.state_root
    }
}

impl fmt::Display for SidecarPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "sidecar path is empty"),
            Self::TooLong(n) => write!(f, "sidecar path has {n} bytes, at most {MAX_PATH}"),
            Self::ControlCharacter => write!(f, "sidecar path holds a control character"),
            Self::Relative(p) => write!(f, "sidecar path {} is not absolute", p.display()),
            Self::ParentReference(p) => write!(f, "sidecar path {} holds `..`", p.display()),
            Self::NotInSidecarDirectory(p) => {
                write!(f, "sidecar path {} is not in a directory named `sidecar`", p.display())
            }
        }
    }
}

impl std::error::Error for PathError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_root_is_the_grandparent() {
        let path = SidecarPath::parse("/state/sidecar/web.json").unwrap();
        assert_eq!(path.state_root(), Path::new("/state"));
        assert_eq!(path.as_path(), Path::new("/state/sidecar/web.json"));
    }

    #[test]
    fn a_path_that_is_not_plainly_a_sidecar_is_refused() {
        for value in [
            "",
            "sidecar/web.json",
            "/state/../etc/sidecar/web.json",
            "/state/sidecar/..",
            "/state/other/web.json",
            "/web.json",
            "/",
            "/state/sidecar/a\nb.json",
        ] {
            assert!(SidecarPath::parse(value).is_err(), "{value:?}");
        }
        assert!(SidecarPath::parse(&format!("/{}", "a".repeat(4096))).is_err());
    }
}

//! The project's bare repository, which the gate serves.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::plan::Gate;
use crate::private_file;

#[derive(Debug)]
pub(super) enum MirrorError {
    Missing { path: PathBuf },
    NotARepository { path: PathBuf },
    Io { doing: &'static str, path: PathBuf, why: io::Error },
    Git { path: PathBuf, said: String },
}

/// Makes sure that there is a mirror. Returns whether it was made now.
///
/// # Errors
/// None there, when none shall be made; something else there; git.
pub(super) fn ensure(gate: &Gate) -> Result<bool, MirrorError> {
    let path = || gate.mirror.clone();
    if gate.mirror.symlink_metadata().is_ok() {
        // gitrepository-layout(5): without HEAD it is no repository.
        return match gate.mirror.join("HEAD").exists() {
            true => Ok(false),
            false => Err(MirrorError::NotARepository { path: path() }),
        };
    }
    if !gate.init {
        return Err(MirrorError::Missing { path: path() });
    }
    private_file::make_directory(&gate.base).map_err(|why| MirrorError::Io {
        doing: "make",
        path: gate.base.clone(),
        why,
    })?;
    init(&gate.mirror)?;
    Ok(true)
}

/// `git init --bare`, without the operator's templates: their hooks are not for the gate.
fn init(path: &Path) -> Result<(), MirrorError> {
    let output = Command::new("git")
        .args(["init", "--quiet", "--bare", "--template=", "--initial-branch=main", "--"])
        .arg(path)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::null())
        .output()
        .map_err(|why| MirrorError::Io { doing: "run git to make", path: path.to_owned(), why })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(MirrorError::Git { path: path.to_owned(), said })
}

impl fmt::Display for MirrorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(
                f,
                "open the gate: no mirror {0}\n\
                 hint: add `--init-mirror` for an empty one, or run `git clone --mirror URL {0}`",
                path.display()
            ),
            Self::NotARepository { path } => {
                write!(f, "open the gate: {} is no bare repository", path.display())
            }
            Self::Io { doing, path, why } => write!(f, "{doing} {}: {why}", path.display()),
            Self::Git { path, said } => write!(f, "make mirror {}: {said}", path.display()),
        }
    }
}

impl std::error::Error for MirrorError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(root: &Path, init: bool) -> Gate {
        Gate { base: root.join("gate"), mirror: root.join("gate/app.git"), init }
    }

    #[test]
    fn a_mirror_is_made_once_and_without_hooks() {
        let dir = tempfile::tempdir().unwrap();
        assert!(ensure(&gate(dir.path(), true)).unwrap());
        assert!(!ensure(&gate(dir.path(), false)).unwrap());
        let mirror = gate(dir.path(), true).mirror;
        assert!(mirror.join("HEAD").exists() && !mirror.join("hooks").exists());
    }

    #[test]
    fn a_missing_mirror_is_told_with_both_ways_out() {
        let dir = tempfile::tempdir().unwrap();
        let error = ensure(&gate(dir.path(), false)).unwrap_err().to_string();
        assert!(error.contains("--init-mirror") && error.contains("git clone --mirror"), "{error}");
    }

    #[test]
    fn something_else_in_its_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let gate = gate(dir.path(), true);
        std::fs::create_dir_all(&gate.mirror).unwrap();
        assert!(matches!(ensure(&gate), Err(MirrorError::NotARepository { .. })));
    }
}

//! Becoming the real runtime: same process, same descriptors, same words.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use terok_hook::operator;

#[derive(Debug)]
pub(crate) enum RealRuntimeError {
    Missing(PathBuf),
    /// It names this very program, which would call itself without end.
    Ourselves(PathBuf),
    Execute {
        path: PathBuf,
        why: io::Error,
    },
}

/// Executes the runtime, and so comes back with an error only.
///
/// A bare name is looked for in the system's directories, never on the caller's PATH.
pub(crate) fn become_real(runtime: &Path, arguments: &[OsString]) -> RealRuntimeError {
    match find(runtime) {
        Ok(path) => {
            let why = Command::new(&path).args(arguments).exec();
            RealRuntimeError::Execute { path, why }
        }
        Err(why) => why,
    }
}

fn find(runtime: &Path) -> Result<PathBuf, RealRuntimeError> {
    let missing = || RealRuntimeError::Missing(runtime.to_owned());
    let found = if runtime.is_absolute() {
        Some(runtime.to_owned())
    } else if runtime.components().count() == 1 {
        std::env::split_paths(operator::PATH)
            .map(|directory| directory.join(runtime))
            .find(|path| is_program(path))
    } else {
        None
    };
    let found = found.filter(|path| is_program(path)).ok_or_else(missing)?;
    if is_ourselves(&found) { Err(RealRuntimeError::Ourselves(found)) } else { Ok(found) }
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

fn is_ourselves(path: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|facts| (facts.dev(), facts.ino())).ok();
    let own = identity(Path::new("/proc/self/exe"));
    own.is_some() && own == identity(path)
}

impl fmt::Display for RealRuntimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(
                f,
                "find the real OCI runtime {}: no such program\nhint: set real-runtime in /etc/terok/runtime.conf to its full path",
                path.display()
            ),
            Self::Ourselves(path) => write!(
                f,
                "execute the real OCI runtime {}: that is this wrapper itself\nhint: set real-runtime in /etc/terok/runtime.conf to crun or runc",
                path.display()
            ),
            Self::Execute { path, why } => {
                write!(f, "execute the real OCI runtime {}: {why}", path.display())
            }
        }
    }
}

impl std::error::Error for RealRuntimeError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_a_program_of_the_system() {
        assert!(find(Path::new("env")).unwrap().ends_with("bin/env"));
        for missing in ["no-such-runtime", "bin/env", "/no/such/runtime", "/etc", "/etc/passwd"] {
            assert!(matches!(find(Path::new(missing)), Err(RealRuntimeError::Missing(_))));
        }
    }

    #[test]
    fn the_wrapper_does_not_call_itself() {
        let own = std::env::current_exe().unwrap();
        assert!(matches!(find(&own), Err(RealRuntimeError::Ourselves(_))));
    }
}

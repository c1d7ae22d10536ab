//! Our other programs lie beside our own file; PATH is never asked.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

#[derive(Debug)]
pub enum SiblingError {
    OwnFile(io::Error),
    Missing { path: PathBuf, why: io::Error },
    NotExecutable(PathBuf),
}

/// The executable file `name` in the directory of the running program. After an upgrade in place
/// `/proc/self/exe` names a deleted file (proc_pid_exe(5)); its directory still holds.
pub fn program(name: &str) -> Result<PathBuf, SiblingError> {
    let own = fs::read_link("/proc/self/exe").map_err(SiblingError::OwnFile)?;
    let path = own.with_file_name(name);
    match fs::metadata(&path) {
        Err(why) => Err(SiblingError::Missing { path, why }),
        Ok(facts) if !facts.is_file() || facts.permissions().mode() & 0o111 == 0 => {
            Err(SiblingError::NotExecutable(path))
        }
        Ok(_) => Ok(path),
    }
}

impl fmt::Display for SiblingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnFile(why) => write!(f, "find our own program file: {why}"),
            Self::Missing { path, why } => {
                write!(f, "find program {}: {why}\nhint: run terokctl setup again", path.display())
            }
            Self::NotExecutable(path) => write!(
                f,
                "program {} is not executable\nhint: run terokctl setup again",
                path.display()
            ),
        }
    }
}

impl std::error::Error for SiblingError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sibling_is_found_and_a_missing_one_is_named_with_a_way_out() {
        let own = std::env::current_exe().unwrap();
        let name = own.file_name().unwrap().to_str().unwrap();
        assert_eq!(program(name).unwrap(), own);
        let message = program("no-such-program").unwrap_err().to_string();
        assert!(message.contains("no-such-program") && message.contains("hint:"), "{message}");
    }
}

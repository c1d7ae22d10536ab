//! The installed git: its program, the directory of its commands, and the CGI program among them.
//! Looked for once, at the start.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where programs are looked for when our own environment does not say.
const PROGRAM_DIRECTORIES: &str = "/usr/local/bin:/usr/bin:/bin";
const BACKEND: &str = "git-http-backend";

#[derive(Debug)]
pub(crate) struct Git {
    /// The `git` program itself, symbolic links followed.
    pub(crate) program: PathBuf,
    /// The directory of its commands (git(1), `--exec-path`).
    pub(crate) exec_path: PathBuf,
    /// What git checks SSH signatures with, where it is installed.
    pub(crate) ssh_keygen: Option<PathBuf>,
}

#[derive(Debug)]
pub(crate) enum GitError {
    Missing { searched: String },
    Unusable { program: PathBuf, why: io::Error },
    BackendMissing { exec_path: PathBuf },
}

impl Git {
    /// The first `git` on our `PATH`, which our parent sets, with its CGI program.
    pub(crate) fn find() -> Result<Self, GitError> {
        let searched = std::env::var("PATH")
            .ok()
            .filter(|path| !path.is_empty())
            .unwrap_or_else(|| PROGRAM_DIRECTORIES.to_owned());
        let ssh_keygen = look_for("ssh-keygen", &searched);
        let found = look_for("git", &searched).ok_or(GitError::Missing { searched })?;
        let unusable = |why| GitError::Unusable { program: found.clone(), why };
        let program = fs::canonicalize(&found).map_err(unusable)?;
        let exec_path = exec_path(&found).map_err(unusable)?;
        let git = Self { program, exec_path, ssh_keygen };
        if !is_executable(&git.backend()) {
            return Err(GitError::BackendMissing { exec_path: git.exec_path });
        }
        Ok(git)
    }

    /// `git http-backend`, called by its own name: one process less than through `git`.
    pub(crate) fn backend(&self) -> PathBuf {
        self.exec_path.join(BACKEND)
    }
}

fn look_for(program: &str, searched: &str) -> Option<PathBuf> {
    std::env::split_paths(searched)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .find(|program| is_executable(program))
}

fn exec_path(program: &Path) -> io::Result<PathBuf> {
    let said = Command::new(program)
        .arg("--exec-path")
        .env_clear()
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()?;
    let mut path = said.stdout;
    while path.ends_with(b"\n") {
        path.pop();
    }
    if !said.status.success() || path.is_empty() {
        return Err(io::Error::other(format!("`--exec-path` ended with {}", said.status)));
    }
    fs::canonicalize(PathBuf::from(std::ffi::OsString::from_vec(path)))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

impl fmt::Display for GitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { searched } => write!(
                f,
                "look for git: none in {searched}\n\
                 hint: install it, for example `apt install git`, `dnf install git` or \
                 `apk add git git-daemon`"
            ),
            Self::Unusable { program, why } => {
                write!(f, "ask {} for its commands: {why}", program.display())
            }
            Self::BackendMissing { exec_path } => write!(
                f,
                "look for git's CGI program: no {BACKEND} in {}\n\
                 hint: install the package that has it, for example `apk add git-daemon` or \
                 `dnf install git-core`",
                exec_path.display()
            ),
        }
    }
}

impl std::error::Error for GitError {}

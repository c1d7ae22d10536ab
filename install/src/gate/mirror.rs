//! One project's mirror: where it is, how git is run in it, who may work on it now.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::{Flock, FlockArg};

use crate::cli::MirrorArgs;
use crate::directories::Directories;

/// Longest project name; file systems allow 255 bytes with `.git` and what drafts add.
const MAX_NAME: usize = 200;
/// Variables of the operator that git needs on its way to an upstream: proxies, certificates.
const PASSED_ON: [&str; 12] = [
    "HOME",
    "XDG_CONFIG_HOME",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
];

/// A name that the gate accepts in its paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ProjectName(String);

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProjectNameError;

#[derive(Debug)]
pub(super) struct Mirror {
    pub(super) project: ProjectName,
    pub(super) path: PathBuf,
}

/// Nobody else syncs, restores or prunes the mirror until it is dropped. Pushes go on.
#[derive(Debug)]
pub(super) struct Claim(#[expect(dead_code, reason = "held for its lock")] Flock<File>);

#[derive(Debug)]
pub(super) enum MirrorError {
    Missing { path: PathBuf, project: ProjectName },
    Busy { path: PathBuf },
    Claim { path: PathBuf, why: io::Error },
    Run { what: String, why: io::Error },
    Git { what: String, said: String },
}

impl ProjectName {
    pub(crate) fn parse(name: &str) -> Result<Self, ProjectNameError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain);
        // Dots in front are for what is not finished yet.
        if fits && !name.starts_with('.') {
            Ok(Self(name.to_owned()))
        } else {
            Err(ProjectNameError)
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Mirror {
    /// Where the mirror is or shall be.
    pub(super) fn locate(directories: &Directories, args: &MirrorArgs) -> Self {
        let base = args.base.clone().unwrap_or_else(|| directories.state.mirrors());
        let base = std::path::absolute(&base).unwrap_or(base);
        let path = base.join(format!("{}.git", args.project.as_str()));
        Self { project: args.project.clone(), path }
    }

    /// The mirror, which must be there.
    pub(super) fn open(directories: &Directories, args: &MirrorArgs) -> Result<Self, MirrorError> {
        let mirror = Self::locate(directories, args);
        // gitrepository-layout(5): without HEAD it is no repository.
        if mirror.path.join("HEAD").is_file() {
            Ok(mirror)
        } else {
            Err(MirrorError::Missing { path: mirror.path, project: mirror.project })
        }
    }

    pub(super) fn claim(&self) -> Result<Claim, MirrorError> {
        let path = self.path.with_extension("lock");
        let error = |why| MirrorError::Claim { path: path.clone(), why };
        let file =
            File::options().write(true).create(true).truncate(false).open(&path).map_err(error)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Claim(lock)),
            Err((_, nix::errno::Errno::EWOULDBLOCK)) => {
                Err(MirrorError::Busy { path: self.path.clone() })
            }
            Err((_, why)) => Err(error(why.into())),
        }
    }

    /// git in this mirror, with nothing of the operator's environment and configuration.
    pub(super) fn git(&self, arguments: &[&str]) -> Command {
        let mut git = bare_git();
        git.env("GIT_DIR", &self.path)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .args(settings(&[("safe.directory", &self.path.to_string_lossy())]))
            .args(arguments);
        git
    }

    /// git in this mirror on its way to an upstream: the operator's proxies and certificates
    /// count, credential helpers and prompts do not.
    pub(super) fn git_abroad(&self, arguments: &[&str]) -> Command {
        let mut git = bare_git();
        for name in PASSED_ON {
            if let Some(value) = std::env::var_os(name) {
                git.env(name, value);
            }
        }
        git.env("GIT_DIR", &self.path)
            .env("GIT_ALLOW_PROTOCOL", "file:git:http:https:ssh")
            .env("GIT_ASKPASS", "")
            .env("SSH_ASKPASS_REQUIRE", "never")
            .args(settings(&[
                ("safe.directory", "*"),
                ("credential.helper", ""),
                ("fetch.recurseSubmodules", "false"),
                ("fetch.prune", "false"),
                ("fetch.fsckObjects", "false"),
            ]))
            .args(arguments);
        git
    }

    /// What a git command prints.
    pub(super) fn ask(&self, arguments: &[&str]) -> Result<String, MirrorError> {
        said(&mut self.git(arguments), arguments)
    }

    /// Whether a git command that answers by its exit status says yes.
    pub(super) fn tells(&self, arguments: &[&str]) -> Result<bool, MirrorError> {
        let what = words(arguments);
        let mut git = self.git(arguments);
        let output = git.output().map_err(|why| MirrorError::Run { what: what.clone(), why })?;
        match output.status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(MirrorError::Git { what, said: text(&output.stderr) }),
        }
    }
}

/// What a git command prints, as text.
pub(super) fn said(git: &mut Command, arguments: &[&str]) -> Result<String, MirrorError> {
    let what = words(arguments);
    let output = git.output().map_err(|why| MirrorError::Run { what: what.clone(), why })?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(MirrorError::Git { what, said: text(&output.stderr) })
    }
}

/// The command's name: arguments may hold a URL.
fn words(arguments: &[&str]) -> String {
    arguments.iter().find(|word| !word.starts_with('-')).copied().unwrap_or_default().to_owned()
}

fn text(bytes: &[u8]) -> String {
    crate::output::printable(String::from_utf8_lossy(bytes).trim()).replace("\\n", "\n")
}

fn bare_git() -> Command {
    let mut git = Command::new("git");
    git.env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin")))
        .env("LC_ALL", "C.UTF-8")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .current_dir(Path::new("/"))
        .stdin(Stdio::null())
        // A mirror brings no code, however it came to be.
        .args(settings(&[("core.hooksPath", "/dev/null"), ("core.fsmonitor", "false")]));
    git
}

fn settings(settings: &[(&str, &str)]) -> Vec<String> {
    settings.iter().flat_map(|(key, value)| ["-c".to_owned(), format!("{key}={value}")]).collect()
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ProjectNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected at most {MAX_NAME} letters, digits, `.`, `_` and `-`, no dot first")
    }
}

impl std::error::Error for ProjectNameError {}

impl fmt::Display for MirrorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path, project } => write!(
                f,
                "open mirror {}: there is none\n\
                 hint: `terokctl gate init {project}` makes one",
                path.display()
            ),
            Self::Busy { path } => write!(
                f,
                "work on mirror {}: another terokctl does\nhint: try again when it is done",
                path.display()
            ),
            Self::Claim { path, why } => write!(f, "lock {}: {why}", path.display()),
            Self::Run { what, why } if why.kind() == io::ErrorKind::NotFound => {
                write!(f, "run git {what}: {why}\nhint: install git")
            }
            Self::Run { what, why } => write!(f, "run git {what}: {why}"),
            Self::Git { what, said } => write!(f, "git {what}: {said}"),
        }
    }
}

impl std::error::Error for MirrorError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn project_names_are_what_the_gate_serves() {
        for name in ["web", "a.b_c-1", "7"] {
            assert_eq!(ProjectName::parse(name).unwrap().as_str(), name);
        }
        for name in ["", ".", "..", ".web", "a/b", "a b", "ü", &"a".repeat(201)] {
            assert!(ProjectName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn messages_name_the_command_and_never_its_arguments() {
        assert_eq!(words(&["--quiet", "fetch", "https://x:secret@h/"]), "fetch");
    }
}

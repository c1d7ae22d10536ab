//! Where this operator's files are: state, runtime directory and vault.
//!
//! In: the environment and the user, read once. Out: absolute paths that everything else is
//! derived from, so that a test or a second installation needs nothing but other variables.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};
use terok_shared::layout::{self, StateRoot};

const STATE_VARIABLE: &str = "TEROK_SANDBOX_STATE_DIR";
const RUNTIME_VARIABLE: &str = "TEROK_SANDBOX_RUNTIME_DIR";
const VAULT_VARIABLE: &str = "TEROK_VAULT_DIR";

#[derive(Debug)]
pub(crate) struct Directories {
    pub(crate) state: StateRoot,
    /// `<runtime>/run/<name>` is what a container sees at `/run/terok`.
    pub(crate) runtime: PathBuf,
    vault: PathBuf,
    xdg_runtime: Option<PathBuf>,
}

#[derive(Debug)]
pub(crate) enum DirectoriesError {
    NoHome { uid: u32 },
    WorkingDirectory(io::Error),
}

impl Directories {
    /// This process's directories.
    ///
    /// # Errors
    /// A user without a home directory, or a relative override without a working directory.
    pub(crate) fn of_this_process() -> Result<Self, DirectoriesError> {
        let uid = geteuid();
        let home = || User::from_uid(uid).ok().flatten().map(|user| user.dir);
        Self::resolve(uid.as_raw(), home, |name| env::var_os(name))
    }

    /// Empty variables count as unset, and relative `XDG_*` ones too (XDG base directory
    /// specification 0.8).
    fn resolve(
        uid: u32,
        home: impl Fn() -> Option<PathBuf>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, DirectoriesError> {
        let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let xdg = |name| set(name).filter(|path| path.is_absolute());
        let data_home = || {
            xdg("XDG_DATA_HOME")
                .or_else(|| set("HOME").or_else(&home).map(|home| home.join(".local/share")))
                .ok_or(DirectoriesError::NoHome { uid })
        };
        let overridden = |name| {
            set(name)
                .map(|path| std::path::absolute(path).map_err(DirectoriesError::WorkingDirectory))
                .transpose()
        };
        let kept = |name, leaf: &str| match overridden(name)? {
            Some(path) => Ok(path),
            None if uid == 0 => Ok(Path::new("/var/lib/terok").join(leaf)),
            None => Ok(data_home()?.join("terok").join(leaf)),
        };
        let xdg_runtime = xdg("XDG_RUNTIME_DIR");
        let runtime = match overridden(RUNTIME_VARIABLE)? {
            Some(path) => path,
            None if uid == 0 => "/run/terok/sandbox".into(),
            // Without a login session the variable is missing, but supervisors look there too.
            None => xdg_runtime
                .clone()
                .unwrap_or_else(|| format!("/run/user/{uid}").into())
                .join("terok/sandbox"),
        };
        Ok(Self {
            state: StateRoot::new(kept(STATE_VARIABLE, "sandbox")?),
            vault: kept(VAULT_VARIABLE, "vault")?,
            runtime,
            xdg_runtime,
        })
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.vault.join("credentials.db")
    }

    pub(crate) fn routes(&self) -> PathBuf {
        layout::routes_beside(&self.database())
    }

    /// Where a session's passphrase is written and looked for, the likeliest first. Never empty.
    pub(crate) fn session_passphrases(&self) -> Vec<PathBuf> {
        session_passphrases(self.xdg_runtime.as_deref(), &self.runtime)
    }

    /// The same for a sidecar that was written with another runtime directory.
    pub(crate) fn session_passphrases_of(&self, runtime_dir: &Path) -> Vec<PathBuf> {
        session_passphrases(self.xdg_runtime.as_deref(), runtime_dir)
    }
}

fn session_passphrases(xdg_runtime: Option<&Path>, runtime: &Path) -> Vec<PathBuf> {
    let directories = layout::session_directories(xdg_runtime, runtime);
    debug_assert!(!directories.is_empty(), "a runtime directory is never the root");
    directories
}

#[cfg(test)]
impl Directories {
    /// Directories `state`, `run` and `vault` below `root`.
    pub(crate) fn below(root: &str) -> Self {
        let root = Path::new(root);
        Self {
            state: StateRoot::new(root.join("state")),
            runtime: root.join("run"),
            vault: root.join("vault"),
            xdg_runtime: None,
        }
    }
}

impl fmt::Display for DirectoriesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHome { uid } => write!(
                f,
                "find the home directory of uid {uid}: there is none\n\
                 hint: set HOME, or {STATE_VARIABLE} and {VAULT_VARIABLE}"
            ),
            Self::WorkingDirectory(why) => write!(f, "read the working directory: {why}"),
        }
    }
}

impl std::error::Error for DirectoriesError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(uid: u32, variables: &[(&str, &str)]) -> Directories {
        let variable = |wanted: &str| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.into())
        };
        Directories::resolve(uid, || Some("/home/op".into()), variable).unwrap()
    }

    #[test]
    fn a_users_directories_follow_xdg() {
        let plain = resolve(7, &[("XDG_RUNTIME_DIR", "/run/user/7")]);
        assert_eq!(plain.state.path(), Path::new("/home/op/.local/share/terok/sandbox"));
        assert_eq!(plain.database(), Path::new("/home/op/.local/share/terok/vault/credentials.db"));
        assert_eq!(plain.runtime, Path::new("/run/user/7/terok/sandbox"));
        let elsewhere = resolve(7, &[("HOME", "/h"), ("XDG_DATA_HOME", "/data")]);
        assert_eq!(elsewhere.state.path(), Path::new("/data/terok/sandbox"));
        assert_eq!(elsewhere.runtime, Path::new("/run/user/7/terok/sandbox"));
    }

    #[test]
    fn roots_directories_are_the_systems() {
        let root = resolve(0, &[("HOME", "/root"), ("XDG_RUNTIME_DIR", "/run/user/0")]);
        assert_eq!(root.state.path(), Path::new("/var/lib/terok/sandbox"));
        assert_eq!(root.runtime, Path::new("/run/terok/sandbox"));
        assert_eq!(root.routes(), Path::new("/var/lib/terok/vault/routes.json"));
    }

    #[test]
    fn overrides_win_and_empty_ones_do_not_count() {
        let other =
            resolve(7, &[(STATE_VARIABLE, "/s"), (RUNTIME_VARIABLE, "/r/x"), (VAULT_VARIABLE, "")]);
        assert_eq!(other.state.path(), Path::new("/s"));
        assert_eq!(other.runtime, Path::new("/r/x"));
        assert!(other.database().starts_with("/home/op"));
        assert_eq!(other.session_passphrases(), [PathBuf::from("/r/vault-session")]);
    }

    #[test]
    fn nobodys_home_is_an_error_with_a_hint() {
        let error = Directories::resolve(7, || None, |_| None).unwrap_err();
        assert!(error.to_string().contains("\nhint: "));
    }
}

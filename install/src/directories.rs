//! Where this operator's files are: state, runtime directory and vault.
//!
//! In: the environment, the configuration and the user, read once. Out: absolute paths that
//! everything else is derived from, so that a test or a second installation needs nothing but
//! other variables; and the operator's preferences.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{User, geteuid};
use terok_shared::layout::{self, StateRoot};

use crate::Failure;
use crate::config::{File, Layers, Origin, Preferences, Setting};

/// The parent of state directory and vault, for every tool of the ecosystem.
const ROOT_VARIABLE: &str = "TEROK_ROOT";
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
    origins: Origins,
    pub(crate) preferences: Preferences,
    pub(crate) layers: Layers,
}

/// Who has set each directory.
#[derive(Debug)]
struct Origins {
    state: Origin,
    runtime: Origin,
    vault: Origin,
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
    /// A user without a home directory, a relative override without a working directory, or a
    /// configuration that cannot be used.
    pub(crate) fn of_this_process() -> Result<Self, Failure> {
        let uid = geteuid();
        let home = || User::from_uid(uid).ok().flatten().map(|user| user.dir);
        let own = env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let layers =
            Layers::read(uid.as_raw(), own.or_else(home).as_deref(), |name| env::var_os(name))?;
        let preferences = Preferences::resolve(&layers.file, |name| env::var(name).ok())?;
        let variable = |name: &str| env::var_os(name);
        let found = Self::resolve(uid.as_raw(), home, variable, &layers.file)?;
        Ok(Self { preferences, layers, ..found })
    }

    /// Empty variables count as unset, and relative `XDG_*` ones too (XDG base directory
    /// specification 0.8).
    fn resolve(
        uid: u32,
        home: impl Fn() -> Option<PathBuf>,
        variable: impl Fn(&str) -> Option<OsString>,
        file: &File,
    ) -> Result<Self, DirectoriesError> {
        let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let xdg = |name| set(name).filter(|path| path.is_absolute());
        let data_home = || {
            xdg("XDG_DATA_HOME")
                .or_else(|| set("HOME").or_else(&home).map(|home| home.join(".local/share")))
                .ok_or(DirectoriesError::NoHome { uid })
        };
        let overridden = |name: &'static str| {
            let absolute =
                |path| std::path::absolute(path).map_err(DirectoriesError::WorkingDirectory);
            set(name).map(|path| Ok(Setting::environment(name, absolute(path)?))).transpose()
        };
        let default_root = || match uid {
            0 => Ok(PathBuf::from("/var/lib/terok")),
            _ => Ok(data_home()?.join("terok")),
        };
        let kept = |name, of_file: Option<&Setting<PathBuf>>, leaf: &str| {
            let below = |root: Setting<PathBuf>| root.map(|root| root.join(leaf));
            Ok(if let Some(path) = overridden(name)? {
                path
            } else if let Some(root) = overridden(ROOT_VARIABLE)? {
                below(root)
            } else if let Some(path) = of_file {
                path.clone()
            } else if let Some(root) = &file.root {
                below(root.clone())
            } else {
                below(Setting::default(default_root()?))
            })
        };
        let xdg_runtime = xdg("XDG_RUNTIME_DIR");
        let runtime = match overridden(RUNTIME_VARIABLE)? {
            Some(path) => path,
            None if uid == 0 => Setting::default("/run/terok/sandbox".into()),
            // Without a login session the variable is missing, but supervisors look there too.
            None => Setting::default(
                xdg_runtime
                    .clone()
                    .unwrap_or_else(|| format!("/run/user/{uid}").into())
                    .join("terok/sandbox"),
            ),
        };
        let state = kept(STATE_VARIABLE, None, "sandbox")?;
        let vault = kept(VAULT_VARIABLE, file.vault_dir.as_ref(), "vault")?;
        Ok(Self {
            origins: Origins { state: state.origin, runtime: runtime.origin, vault: vault.origin },
            state: StateRoot::new(state.value),
            vault: vault.value,
            runtime: runtime.value,
            xdg_runtime,
            preferences: Preferences::default(),
            layers: Layers::default(),
        })
    }

    pub(crate) fn state_setting(&self) -> Setting<PathBuf> {
        Setting { value: self.state.path().to_owned(), origin: self.origins.state.clone() }
    }

    pub(crate) fn runtime_setting(&self) -> Setting<PathBuf> {
        Setting { value: self.runtime.clone(), origin: self.origins.runtime.clone() }
    }

    pub(crate) fn vault_setting(&self) -> Setting<PathBuf> {
        Setting { value: self.vault.clone(), origin: self.origins.vault.clone() }
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
            origins: Origins {
                state: Origin::Default,
                runtime: Origin::Default,
                vault: Origin::Default,
            },
            preferences: Preferences::default(),
            layers: Layers::default(),
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
        resolve_with(uid, variables, "")
    }

    fn resolve_with(uid: u32, variables: &[(&str, &str)], config: &str) -> Directories {
        let variable = |wanted: &str| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.into())
        };
        let file = File::parse(Path::new("/c.yml"), config, None).unwrap();
        Directories::resolve(uid, || Some("/home/op".into()), variable, &file).unwrap()
    }

    #[test]
    fn a_configured_root_is_the_parent_of_state_and_vault() {
        let set = resolve_with(7, &[], "paths: {root: /virt/terok}");
        assert_eq!(set.state.path(), Path::new("/virt/terok/sandbox"));
        assert_eq!(set.database(), Path::new("/virt/terok/vault/credentials.db"));
        assert_eq!(set.vault_setting().origin.to_string(), "/c.yml:1");
        assert_eq!(set.runtime_setting().origin, Origin::Default);
        let apart = resolve_with(7, &[], "paths: {root: /r}\ncredentials: {dir: /v}");
        assert_eq!(apart.database(), Path::new("/v/credentials.db"));
        assert_eq!(apart.state.path(), Path::new("/r/sandbox"));
    }

    #[test]
    fn variables_win_over_the_file_and_the_narrower_over_the_wider() {
        let config = "paths: {root: /file}\ncredentials: {dir: /file-vault}";
        let wide = resolve_with(7, &[(ROOT_VARIABLE, "/wide")], config);
        assert_eq!(wide.state.path(), Path::new("/wide/sandbox"));
        assert_eq!(wide.database(), Path::new("/wide/vault/credentials.db"));
        let both = [(ROOT_VARIABLE, "/wide"), (VAULT_VARIABLE, "/narrow")];
        let narrow = resolve_with(7, &both, config);
        assert_eq!(narrow.vault_setting(), Setting::environment(VAULT_VARIABLE, "/narrow".into()));
        assert_eq!(narrow.state_setting().origin, Origin::Environment(ROOT_VARIABLE));
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
        let error = Directories::resolve(7, || None, |_| None, &File::default()).unwrap_err();
        assert!(error.to_string().contains("\nhint: "));
    }
}

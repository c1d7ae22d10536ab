//! Where setup finds and puts things on this machine, read once from the environment so that
//! everything after it can be tried in a directory of its own.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{self, PathBuf};

use nix::unistd::{User, geteuid};

use super::Lookup;

/// On whose behalf: decides which containers.conf is written and who must own our directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Root,
    /// A user with rootless podman, by uid.
    User(u32),
}

impl Operator {
    pub(super) fn uid(self) -> u32 {
        match self {
            Self::Root => 0,
            Self::User(uid) => uid,
        }
    }
}

/// Where things are.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) operator: Operator,
    /// Absolute; hooks, programs and the record go below it.
    pub(crate) state_dir: PathBuf,
    /// `$XDG_CONFIG_HOME`, else `~/.config`.
    pub(crate) config_home: PathBuf,
    /// The running terokctl; the other programs are beside it or in `../libexec/terok`.
    pub(crate) terokctl: PathBuf,
    /// `/`, below which `etc/containers` and `usr/share/containers` are.
    pub(crate) system_root: PathBuf,
    /// `$CONTAINERS_CONF`: podman then reads this file alone, so setup writes this one.
    pub(crate) containers_conf: Option<PathBuf>,
    /// `$CONTAINERS_CONF_OVERRIDE`: read last, never written.
    pub(crate) containers_conf_override: Option<PathBuf>,
    pub(crate) lookup: Lookup,
}

impl Places {
    /// This process's places, with the state directory that the caller settled on. Asks the podman
    /// on PATH for its version, because that decides which files it reads.
    ///
    /// # Errors
    /// `/proc/self/exe` or the password database cannot be read, or there is no home directory.
    pub(crate) fn of_this_process(state_dir: PathBuf) -> io::Result<Self> {
        let uid = geteuid();
        Ok(Self {
            operator: if uid.is_root() { Operator::Root } else { Operator::User(uid.as_raw()) },
            state_dir,
            config_home: config_home()?,
            terokctl: fs::read_link("/proc/self/exe")?,
            system_root: "/".into(),
            containers_conf: variable("CONTAINERS_CONF").map(path::absolute).transpose()?,
            containers_conf_override: variable("CONTAINERS_CONF_OVERRIDE")
                .map(path::absolute)
                .transpose()?,
            lookup: Lookup::ask_podman(),
        })
    }

    pub(crate) fn hooks_dir(&self) -> PathBuf {
        self.state_dir.join("hooks")
    }

    pub(crate) fn libexec_dir(&self) -> PathBuf {
        self.state_dir.join("libexec")
    }
}

/// podman's own order: `$XDG_CONFIG_HOME`, `$HOME`, then the password database.
fn config_home() -> io::Result<PathBuf> {
    if let Some(directory) = variable("XDG_CONFIG_HOME") {
        return Ok(directory.into());
    }
    let home = match variable("HOME") {
        Some(home) => PathBuf::from(home),
        None => User::from_uid(geteuid())?
            .map(|user| user.dir)
            .ok_or_else(|| io::Error::other("no home directory for this user"))?,
    };
    Ok(home.join(".config"))
}

/// A variable's value; an empty one counts as unset, as it does for podman.
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

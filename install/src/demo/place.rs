//! The temporary directory of one demo, and commands run as if it were all of the operator's home.
//!
//! HOME and XDG_RUNTIME_DIR point into it, so podman keeps its images, containers and pause
//! process there too, and reads the containers.conf that `terokctl setup` writes there.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::unistd::geteuid;

use super::DemoError;

pub(super) struct Place {
    root: PathBuf,
}

impl Place {
    pub(super) fn make() -> Result<Self, DemoError> {
        let base = std::env::temp_dir();
        // Short: socket paths below it have 107 bytes at most.
        let root = base.join(format!("terok-demo-{}", std::process::id()));
        let place = Self { root };
        for directory in ["", "home", "run", "vault", "work"] {
            let path = place.root.join(directory);
            DirBuilder::new()
                .mode(0o700)
                .create(&path)
                .map_err(DemoError::io(format!("make {}", path.display())))?;
        }
        Ok(place)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.root.join(below)
    }

    /// `program` in this place: its environment is built from nothing.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LANG", "C.UTF-8")
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("TEROK_SANDBOX_STATE_DIR", self.path("state"))
            .env("TEROK_SANDBOX_RUNTIME_DIR", self.path("run/terok/sandbox"))
            .env("TEROK_VAULT_DIR", self.path("vault"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .current_dir(self.path("work"))
            .stdin(Stdio::null());
        command
    }

    /// Ourselves, as an operator would type it.
    pub(super) fn terokctl(&self, words: &[&str]) -> Result<String, DemoError> {
        let own = std::env::current_exe().map_err(DemoError::io("find our own program"))?;
        let mut command = self.command(own);
        command.args(words);
        output(&format!("terokctl {}", words.join(" ")), &mut command)
    }

    /// What the hook wrote, for the message of a step that failed.
    pub(super) fn diary(&self) -> String {
        fs::read_to_string(self.path("state/logs/hook.log")).unwrap_or_default()
    }

    /// Takes everything away. Files of a container's other users can only be removed from inside
    /// podman's namespace, whose pause process then has to go too.
    pub(super) fn leave(self) -> Result<(), DemoError> {
        if !geteuid().is_root() && self.path("home/.local/share/containers").exists() {
            let _ = self
                .command("podman")
                .args(["unshare", "rm", "-rf"])
                .arg(self.path("home"))
                .output();
            let _ = self.command("podman").args(["system", "migrate"]).output();
        }
        fs::remove_dir_all(&self.root)
            .map_err(DemoError::io(format!("remove {}", self.root.display())))
    }
}

/// Runs to the end; what it printed, or an error with all it said.
pub(super) fn output(what: &str, command: &mut Command) -> Result<String, DemoError> {
    let Output { status, stdout, stderr } =
        command.output().map_err(DemoError::io(what.to_owned()))?;
    let text = String::from_utf8_lossy(&stdout).into_owned();
    if status.success() {
        return Ok(text);
    }
    let output = format!("{}{text} ({status})", String::from_utf8_lossy(&stderr));
    Err(DemoError::Command { what: what.to_owned(), output })
}

//! The wrapper in front of a script that keeps what it was given: a directory with the two programs
//! of ours, a bundle, and a state root with one sidecar.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;
use terok_tests::programs::{HOOK, Programs, WRAPPER};

/// What the script exits with.
pub(crate) const STATUS: i32 = 7;

pub(crate) struct StandIn {
    directory: TempDir,
    bundle: String,
}

impl StandIn {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("tk").tempdir().unwrap();
        let bundle = directory.path().join("bundle").to_str().unwrap().to_owned();
        let stand_in = Self { directory, bundle };
        for directory in ["programs", "bundle", "state", "state/sidecar"] {
            fs::create_dir(stand_in.path(directory)).unwrap();
            let mode = fs::Permissions::from_mode(0o700);
            fs::set_permissions(stand_in.path(directory), mode).unwrap();
        }
        Programs::installed_in(&stand_in.path("programs"));
        let keeps = stand_in.path("given");
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$@\" >{}\n{{ cat <&5; }} 2>/dev/null\nexit {STATUS}\n",
            keeps.display()
        );
        fs::write(stand_in.real_runtime(), script).unwrap();
        fs::set_permissions(stand_in.real_runtime(), fs::Permissions::from_mode(0o755)).unwrap();
        stand_in.write_sidecar(&json!({}));
        stand_in
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    pub(crate) fn real_runtime(&self) -> PathBuf {
        self.path("real")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.path("bundle/config.json")
    }

    pub(crate) fn hook(&self) -> PathBuf {
        self.path("programs").join(HOOK)
    }

    pub(crate) fn sidecar(&self) -> PathBuf {
        self.path("state/sidecar/web.json")
    }

    pub(crate) fn diary(&self) -> String {
        fs::read_to_string(self.path("state/logs/hook.log")).unwrap_or_default()
    }

    pub(crate) fn write_sidecar(&self, sidecar: &Value) {
        fs::write(self.sidecar(), sidecar.to_string()).unwrap();
        fs::set_permissions(self.sidecar(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// A configuration as a container manager writes it, with these annotations and variables.
    pub(crate) fn write_config(&self, annotations: &Value, variables: &[String]) -> Value {
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {"args": ["sh"], "cwd": "/", "env": variables},
            "root": {"path": "rootfs"},
            "linux": {"resources": {"memory": {"limit": 9007199254740993i64}}},
            "hooks": {"prestart": [{"path": "/net", "args": ["net", "up"]}]},
            "annotations": annotations,
        });
        fs::write(self.config(), config.to_string()).unwrap();
        config
    }

    /// The same with our annotation and nothing else.
    pub(crate) fn write_annotated(&self) -> Value {
        self.write_config(&json!({"terok.sandbox.sidecar": self.sidecar()}), &[])
    }

    pub(crate) fn read_config(&self) -> Value {
        serde_json::from_slice(&fs::read(self.config()).unwrap()).unwrap()
    }

    /// The wrapper, with the stand-in for its real runtime.
    pub(crate) fn wrapper(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.path("programs").join(WRAPPER));
        command.args(words).env("TEROK_REAL_RUNTIME", self.real_runtime());
        command
    }

    /// `create` with this bundle, as containerd's shim calls it.
    pub(crate) fn create(&self) -> Output {
        self.wrapper(&["--root", "/r", "create", "--bundle", self.bundle(), "web"])
    }

    pub(crate) fn bundle(&self) -> &str {
        &self.bundle
    }

    /// The words that the real runtime got.
    pub(crate) fn given(&self) -> Option<Vec<String>> {
        let text = fs::read_to_string(self.path("given")).ok()?;
        Some(text.lines().map(str::to_owned).collect())
    }
}

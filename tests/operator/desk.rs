//! A fresh operator: a home with nothing in it, the programs in a build directory, no variable
//! that a login would not set.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use terok_tests::programs::Programs;

pub(crate) struct Desk {
    directory: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self { directory: tempfile::Builder::new().prefix("op").tempdir().unwrap() };
        for directory in ["home", "run", "build", "bin"] {
            fs::create_dir(desk.path(directory)).unwrap();
        }
        // Whatever the caller's umask is: root's setup must be reachable for others.
        for directory in ["", "home"] {
            fs::set_permissions(desk.path(directory), Permissions::from_mode(0o755)).unwrap();
        }
        Programs::installed_in(&desk.path("build"));
        desk
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// The operator's own file of podman.
    pub(crate) fn conf(&self) -> PathBuf {
        self.path("home/.config/containers/containers.conf")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("home/.local/share/terok/sandbox")
    }

    pub(crate) fn write(&self, path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A vault, open until `vault lock`.
    pub(crate) fn make_vault(&self) {
        let file = self.path("passphrase");
        self.write(&file, "correct horse\n");
        self.ok(&["vault", "init", "--passphrase-file", file.to_str().unwrap()]);
    }

    /// A program on PATH, before every other.
    pub(crate) fn program(&self, name: &str, script: &str) {
        self.script(&self.path("bin").join(name), script);
    }

    /// Another program in a built one's place. Never written through: that one is a link.
    pub(crate) fn rebuild(&self, name: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let path = self.path("build").join(name);
        let bytes = change(fs::read(&path).unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }

    fn script(&self, path: &Path, script: &str) {
        fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }

    /// terokctl with the environment of a login, as an unprivileged user would have it: root's
    /// own places are the system's.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.path("build/terokctl"));
        command
            .args(words)
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("TMPDIR", self.path("run"))
            .env("TEROK_SANDBOX_STATE_DIR", self.state())
            .env("TEROK_SANDBOX_RUNTIME_DIR", self.path("run/terok/sandbox"))
            .env("TEROK_VAULT_DIR", self.path("home/.local/share/terok/vault"))
            .env("CONTAINERS_CONF", self.conf())
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn say(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// What a command printed that must go well.
    #[track_caller]
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let output = self.say(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{words:?}: {}\n{said}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// What a command said that must fail.
    #[track_caller]
    pub(crate) fn fails(&self, words: &[&str]) -> String {
        let output = self.say(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Every path in the home with its mode and size: equal means nothing happened.
    pub(crate) fn snapshot(&self) -> Vec<(PathBuf, u32, u64)> {
        let mut found = Vec::new();
        let mut todo = vec![self.path("home")];
        while let Some(path) = todo.pop() {
            let facts = fs::symlink_metadata(&path).unwrap();
            let size = if facts.is_dir() { 0 } else { facts.len() };
            if facts.is_dir() {
                todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            found.push((path, facts.mode(), size));
        }
        found.sort();
        found
    }

    /// Nothing of a proof is left.
    #[track_caller]
    pub(crate) fn nothing_runs(&self) {
        let left: Vec<_> =
            fs::read_dir(self.path("run")).unwrap().map(|entry| entry.unwrap().path()).collect();
        let proofs: Vec<_> =
            left.iter().filter(|path| path.to_string_lossy().contains("terok-setup")).collect();
        assert!(proofs.is_empty(), "{proofs:?}");
        let root = self.directory.path().as_os_str().as_encoded_bytes();
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let ours = line.windows(root.len()).any(|part| part == root);
            let name = String::from_utf8_lossy(&line).replace('\0', " ");
            assert!(!ours || !name.contains("terok-"), "{name} still runs");
        }
    }
}

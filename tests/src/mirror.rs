//! A bare mirror for the gate, and stock git as its client.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::fixtures;
use crate::house::House;

pub struct Mirror<'h> {
    house: &'h House,
}

impl<'h> Mirror<'h> {
    /// An empty bare repository of the sidecar's project.
    pub fn new(house: &'h House) -> Self {
        let mirror = Self { house };
        let path = mirror.path();
        git_ok(house.path(), &["init", "-q", "--bare", "-b", "main", path.to_str().unwrap()]);
        mirror
    }

    pub fn path(&self) -> PathBuf {
        self.house.mirrors().join(format!("{}.git", fixtures::SCOPE))
    }

    /// What a branch of the mirror points at, without the gate.
    pub fn tip(&self, branch: &str) -> String {
        git_ok(&self.path(), &["rev-parse", branch])
    }

    /// A work tree with one commit in it and `origin` at `url`.
    pub fn work_tree(&self, url: &str) -> PathBuf {
        let tree = self.house.path().join("work");
        git_ok(self.house.path(), &["init", "-q", "-b", "main", tree.to_str().unwrap()]);
        git_ok(&tree, &["remote", "add", "origin", url]);
        git_ok(&tree, &["commit", "-q", "--allow-empty", "-m", "first"]);
        tree
    }
}

/// Runs git as a container's user without any configuration would.
pub fn git(directory: &Path, arguments: &[&str]) -> Output {
    Command::new("git")
        .args(["-c", "user.name=Tester", "-c", "user.email=tester@example.org"])
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The same, which must go well; what it printed, without the last line break.
#[track_caller]
pub fn git_ok(directory: &Path, arguments: &[&str]) -> String {
    let output = git(directory, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

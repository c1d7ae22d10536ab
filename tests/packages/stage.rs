//! A temporary directory with the programs as a package gets them, and an empty home.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use tempfile::TempDir;
use terok_tests::programs::Programs;

pub(crate) struct Stage {
    directory: TempDir,
}

impl Stage {
    /// Strips the programs: their debugging information is several times their size.
    pub(crate) fn new() -> Self {
        let stage = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(stage.programs()).unwrap();
        fs::create_dir(stage.path("home")).unwrap();
        let built = Programs::built();
        for program in Programs::all() {
            let to = stage.programs().join(program);
            ok(Command::new("strip").arg("-o").arg(&to).arg(built.path(program)));
        }
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn programs(&self) -> PathBuf {
        self.path("programs")
    }

    pub(crate) fn every_program(&self) -> impl Iterator<Item = PathBuf> {
        Programs::all().map(|program| self.programs().join(program))
    }

    /// As if they had been built anew.
    pub(crate) fn touch_programs(&self) {
        for program in self.every_program() {
            let file = File::options().append(true).open(program).unwrap();
            file.set_modified(SystemTime::now()).unwrap();
        }
    }

    /// A script of the workspace's, in a directory that is none of the workspace's.
    pub(crate) fn command(&self, script: &str) -> Command {
        let mut command = Command::new(workspace().join(script));
        command.current_dir(self.directory.path()).stdin(Stdio::null());
        command.env("TEROK_PACKAGE_QUICK", "1");
        command
    }

    #[track_caller]
    pub(crate) fn make(&self, target: &str, prefix: &str, destdir: &Path) {
        let mut make = Command::new("make");
        make.arg("--silent").arg("--directory").arg(workspace()).arg(target);
        make.arg(format!("PREFIX={prefix}")).arg(format!("DESTDIR={}", destdir.display()));
        make.arg(format!("PROGRAMS={}", self.programs().display()));
        // This test may itself be run by make, whose flags are not this one's.
        ok(make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL"));
    }

    /// The installed terokctl, for somebody with an empty home.
    pub(crate) fn terokctl(&self, prefix: &Path) -> Command {
        let mut command = Command::new(prefix.join("bin/terokctl"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.path("home"));
        command.env("XDG_RUNTIME_DIR", self.path("home"));
        command.env("TEROK_SANDBOX_STATE_DIR", self.path("home/state")).stdin(Stdio::null());
        command
    }

    /// `setup --dry-run` finds all programs and changes nothing.
    #[track_caller]
    pub(crate) fn setup_dry_run(&self, prefix: &Path) {
        let plan = ok(self.terokctl(prefix).args(["setup", "--dry-run"]));
        assert!(plan.contains("7 programs"), "{plan}");
        assert_eq!(files_below(&self.path("home")), Vec::<String>::new());
    }
}

pub(crate) fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is in it").to_owned()
}

/// Runs a command that must go well; what it printed.
#[track_caller]
pub(crate) fn ok(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{command:?}: {}\n{said}{printed}", output.status);
    printed.into_owned()
}

/// Files and links below a directory, in order.
pub(crate) fn files_below(directory: &Path) -> Vec<String> {
    let mut found = vec![];
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files_below(&entry.path())),
            false => found.push(entry.path().display().to_string()),
        }
    }
    found.sort();
    found
}

/// Not by a macro, whose words would be kept back as a passing test's output.
pub(crate) fn skip(why: &str) {
    let _ = std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes());
}

//! Where the programs under test are: beside the test's own target directory, or where
//! `TEROK_TEST_PROGRAMS` says (an installed set, a release build).

use std::fs;
use std::path::{Path, PathBuf};

use crate::terokctl::TEROKCTL;

pub const HOOK: &str = "terok-hook";
pub const SUPERVISOR: &str = "terok-supervisor";
const SERVICES: [&str; 4] =
    ["terok-vault-keeper", "terok-token-broker", "terok-ssh-signer", "terok-git-gate"];

#[derive(Clone, Debug)]
pub struct Programs {
    directory: PathBuf,
}

impl Programs {
    /// The ones that were built or named before the tests.
    pub fn built() -> Self {
        let named = std::env::var_os("TEROK_TEST_PROGRAMS").map(PathBuf::from);
        let programs = Self { directory: named.unwrap_or_else(beside_the_test) };
        for name in Self::names() {
            let path = programs.path(name);
            assert!(path.exists(), "{} is missing: cargo build --workspace", path.display());
        }
        programs
    }

    /// The same programs in another directory, for a test that takes one away or replaces it.
    pub fn installed_in(directory: &Path) -> Self {
        let built = Self::built();
        let programs = Self { directory: directory.to_owned() };
        for name in Self::names().chain([TEROKCTL]) {
            link(&built.path(name), &programs.path(name));
        }
        programs
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Puts a shell script in a program's place.
    pub fn replace(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        self.remove(name);
        fs::write(self.path(name), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Puts the real program back.
    pub fn restore(&self, name: &str) {
        self.remove(name);
        link(&Self::built().path(name), &self.path(name));
    }

    fn names() -> impl Iterator<Item = &'static str> {
        [HOOK, SUPERVISOR].into_iter().chain(SERVICES)
    }
}

/// A link costs nothing but needs the same file system.
fn link(from: &Path, to: &Path) {
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop)).unwrap();
}

/// `<target>/<profile>/deps/<test>` is where cargo puts a test.
fn beside_the_test() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let deps = test.parent().expect("a program is in a directory");
    deps.parent().expect("deps is in the profile's directory").to_owned()
}

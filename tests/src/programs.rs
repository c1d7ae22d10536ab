//! Where the programs under test are: beside the test's own target directory, or where
//! `TEROK_TEST_PROGRAMS` says (an installed set, a release build).

use std::fs;
use std::path::{Path, PathBuf};

use terok_shared::service::Service;

use crate::terokctl::TEROKCTL;

pub const HOOK: &str = "terok-hook";
pub const WRAPPER: &str = "terok-runtime";
pub const SUPERVISOR: &str = "terok-supervisor";

#[derive(Clone, Debug)]
pub struct Programs {
    directory: PathBuf,
}

impl Programs {
    /// The ones that were built or named before the tests.
    pub fn built() -> Self {
        let named = std::env::var_os("TEROK_TEST_PROGRAMS").map(PathBuf::from);
        let programs = Self { directory: named.unwrap_or_else(beside_the_test) };
        for name in Self::private() {
            let path = programs.path(name);
            assert!(path.exists(), "{} is missing: cargo build --workspace", path.display());
        }
        programs
    }

    /// The same programs in another directory, for a test that takes one away or replaces it.
    pub fn installed_in(directory: &Path) -> Self {
        let programs = Self { directory: directory.to_owned() };
        Self::all().for_each(|name| programs.link_built(name));
        programs
    }

    /// The file names of all programs beside terokctl: what `terokctl setup` installs.
    pub fn private() -> impl Iterator<Item = &'static str> {
        [HOOK, WRAPPER, SUPERVISOR].into_iter().chain(Service::ALL.map(Service::program))
    }

    pub fn all() -> impl Iterator<Item = &'static str> {
        Self::private().chain([TEROKCTL])
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
        self.link_built(name);
    }

    fn link_built(&self, name: &str) {
        let (from, to) = (Self::built().path(name), self.path(name));
        // A link costs nothing but needs the same file system.
        fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop)).unwrap();
    }
}

/// `<target>/<profile>/deps/<test>` is where cargo puts a test.
fn beside_the_test() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let deps = test.parent().expect("a program is in a directory");
    deps.parent().expect("deps is in the profile's directory").to_owned()
}

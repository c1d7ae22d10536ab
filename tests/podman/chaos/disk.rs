//! The small disk that the state directory of this test lies on: filled to the last byte, given
//! free again, and its files' times moved.
//!
//! `as-operator` mounts it. Nobody can change the clock of real time for a few processes alone, so
//! the clock jumps by moving the times of every file that is compared with it.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::operator::ok;

/// More than a full disk could hold, so that a wrong directory is not filled for ever.
const SMALL: u64 = 64 << 20;

pub(super) struct Disk {
    root: PathBuf,
}

/// While it exists, nothing more can be written.
pub(super) struct Full {
    ballast: PathBuf,
}

impl Disk {
    /// Below the operator's home; without a disk of its own there, an ordinary directory.
    pub(super) fn of(home: &Path) -> Self {
        let root = home.join("small-disk");
        fs::create_dir_all(&root).unwrap();
        Self { root }
    }

    pub(super) fn path(&self) -> &Path {
        &self.root
    }

    /// Whether filling it harms nobody else.
    pub(super) fn is_small(&self) -> bool {
        let facts = nix::sys::statvfs::statvfs(&self.root).unwrap();
        facts.blocks() * facts.fragment_size() <= SMALL
    }

    pub(super) fn fill(&self) -> Full {
        let full = Full { ballast: self.root.join("ballast") };
        let mut file = File::create(&full.ballast).unwrap();
        for size in [1 << 16, 1 << 10, 1] {
            let chunk = vec![0; size];
            while file.write(&chunk).is_ok_and(|written| written > 0) {}
        }
        full
    }

    /// Every file on it, and below `also`, was last written at `when`, in the words of touch(1).
    pub(super) fn move_times(&self, also: &Path, when: &str) {
        let mut find = Command::new("find");
        find.arg(&self.root).arg(also);
        // A socket or a pid file may go while it is looked at.
        find.args(["-ignore_readdir_race", "-exec", "touch", "--no-create", "--no-dereference"]);
        find.args(["--date", when, "{}", "+"]);
        ok("find and touch", &mut find);
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        fs::remove_file(&self.ballast).unwrap();
    }
}

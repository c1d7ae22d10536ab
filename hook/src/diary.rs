//! The diary: one line per event in `<state root>/logs/hook.log`, and the same on standard error,
//! where the runtime gave us one (runc shows it when a start fails).
//!
//! Grown beyond its bound it is set aside as `hook.log.1`, and a new one begun.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};
use terok_shared::container::ContainerId;
use terok_shared::layout::{self, StateRoot};

use crate::operator;

/// In bytes: some five thousand events.
const MAX_BYTES: u64 = 1024 * 1024;

pub struct Diary(Option<File>);

impl Diary {
    /// The diary of `root`; without one, or when it cannot be written, standard error alone.
    pub fn open(root: Option<&Path>) -> Self {
        Self(root.filter(|root| operator::owns(root)).and_then(|root| {
            let root = StateRoot::new(root);
            // It exists, most often.
            let _ = DirBuilder::new().mode(0o700).create(root.logs());
            let path = root.diary();
            open(&path).and_then(|file| bounded(file, &path)).ok()
        }))
    }

    pub fn write(&self, id: Option<&ContainerId>, message: &str) {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        let line =
            format!("{now} [{}] {}\n", id.map_or("-", ContainerId::short), one_line(message));
        // One write per line, so that hooks of two containers do not mix. Nothing is left to say
        // when both fail.
        let _ = self.0.as_ref().map(|mut file| file.write_all(line.as_bytes()));
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
}

/// The file to write to: this one, or the one begun because it was full. A hook that meanwhile
/// writes to the old file writes to `hook.log.1`: no line is lost.
fn bounded(file: File, path: &Path) -> io::Result<File> {
    if file.metadata()?.len() <= MAX_BYTES {
        return Ok(file);
    }
    // Another hook is at it: there is nothing to wait for.
    let old = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(old) => old,
        Err((file, _)) => return Ok(file),
    };
    // It may have been set aside between our opening and our lock.
    if is_at(&old, path) {
        fs::rename(path, layout::set_aside(path))?;
    }
    open(path)
}

fn is_at(file: &File, path: &Path) -> bool {
    let here = fs::symlink_metadata(path);
    let identity = |facts: fs::Metadata| (facts.dev(), facts.ino());
    here.is_ok_and(|here| file.metadata().is_ok_and(|open| identity(open) == identity(here)))
}

/// Messages quote peers: no control character may forge a line.
pub fn one_line(message: &str) -> String {
    message.replace('\n', "; ").chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_with_time_and_short_id() {
        let dir = tempfile::tempdir().unwrap();
        let id = ContainerId::parse("0123456789abcdef").unwrap();
        let diary = Diary::open(Some(dir.path()));
        diary.write(Some(&id), "refused\nhint: \u{1b}[31mdo");
        diary.write(None, "second");
        let text = fs::read_to_string(dir.path().join("logs/hook.log")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(&lines[0][20..], " [0123456789ab] refused; hint: ?[31mdo");
        assert_eq!(&lines[0][19..20], "Z");
        assert!(lines[1].ends_with("[-] second"));
    }

    #[test]
    fn a_diary_at_its_bound_is_set_aside_once() {
        let dir = tempfile::tempdir().unwrap();
        Diary::open(Some(dir.path())).write(None, "the very first");
        let path = dir.path().join("logs/hook.log");
        // Two hooks that opened it while it was full, and one that comes later.
        let many = "x".repeat(usize::try_from(MAX_BYTES).unwrap());
        Diary::open(Some(dir.path())).write(None, &many);
        let late = open(&path).unwrap();
        Diary::open(Some(dir.path())).write(None, "second");
        let late = Diary(Some(bounded(late, &path).unwrap()));
        late.write(None, "third");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("second") && text.contains("third"));
        let old = fs::read_to_string(dir.path().join("logs/hook.log.1")).unwrap();
        assert!(old.contains("the very first") && old.len() > many.len());
    }

    #[test]
    fn a_symlink_in_place_of_the_diary_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("logs")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("victim"), dir.path().join("logs/hook.log"))
            .unwrap();
        Diary::open(Some(dir.path())).write(None, "x");
        assert!(!dir.path().join("victim").exists());
    }
}

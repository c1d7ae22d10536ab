//! The container's log is bounded: grown too large it is copied aside and emptied.
//!
//! Standard error is the log, and every service holds it too, open for appending: the file must
//! stay the same one, so it is copied rather than renamed. What is written between the last look
//! and the emptying is lost, a line or two at worst.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use terok_shared::{layout, record};

/// In bytes. Two of these per container at most, plus what five programs may write until the next
/// look.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Seldom: an idle container shall cost nothing. Programs are limited to 20 lines a second each.
const LOOK: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct LogBound {
    file: File,
    path: PathBuf,
    next: Instant,
    /// Says whose log this is; said again when it begins anew.
    title: String,
}

impl LogBound {
    /// Watches the file at `path`, if that is what our standard error is.
    pub(crate) fn on(path: PathBuf, title: String) -> Option<Self> {
        let ours = File::from(io::stderr().as_fd().try_clone_to_owned().ok()?);
        let (ours, there) = (ours.metadata().ok()?, fs::symlink_metadata(&path).ok()?);
        let same = (ours.dev(), ours.ino()) == (there.dev(), there.ino());
        let file = same.then(|| open(&path).ok())??;
        Some(Self { file, path, next: Instant::now() + LOOK, title })
    }

    pub(crate) fn due(&self) -> Instant {
        self.next
    }

    pub(crate) fn look_if_due(&mut self) {
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + LOOK;
        match bound(&mut self.file, &self.path, MAX_BYTES) {
            Ok(false) => {}
            Ok(true) => log::info!("{}; its log goes on here", self.title),
            Err(why) => log::warn!("bound the log {}: {why}", self.path.display()),
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// Whether it was emptied. Emptied it is also when there is no room for the copy: a full disk is
/// no reason to fill it further.
fn bound(log: &mut File, path: &Path, most: u64) -> io::Result<bool> {
    if log.metadata()?.len() <= most {
        return Ok(false);
    }
    let copied = log
        .seek(SeekFrom::Start(0))
        .and_then(|_| record::write_from(&layout::set_aside(path), log));
    log.set_len(0)?;
    copied.map(|()| true)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_log_at_its_bound_is_set_aside_and_its_writers_go_on_in_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc.log");
        let mut writer = OpenOptions::new().append(true).create(true).open(&path).unwrap();
        let mut log = open(&path).unwrap();
        for round in ["first", "second"] {
            writeln!(writer, "{round} {}", "x".repeat(100)).unwrap();
            assert!(!bound(&mut log, &path, 1000).unwrap());
            assert!(bound(&mut log, &path, 100).unwrap());
            writer.write_all(b"after\n").unwrap();
            let old = fs::read_to_string(dir.path().join("abc.log.1")).unwrap();
            assert!(old.contains(round), "{old}");
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "after\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_log_that_cannot_be_copied_is_emptied_all_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc.log");
        fs::write(&path, "x".repeat(100)).unwrap();
        fs::create_dir(dir.path().join("abc.log.1")).unwrap();
        fs::write(dir.path().join("abc.log.1/taken"), "").unwrap();
        assert!(bound(&mut open(&path).unwrap(), &path, 10).is_err());
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_terminal_is_nobodys_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc.log");
        fs::write(&path, "").unwrap();
        assert!(LogBound::on(path, String::new()).is_none());
    }
}

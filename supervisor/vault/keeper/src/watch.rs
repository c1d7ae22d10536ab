//! Notices that another process changed the database, within the moment and, while nobody asks the
//! keeper anything, without any work.
//!
//! In write-ahead mode every commit is a write to the `-wal` file, which inotify(7) reports; what
//! it amounts to SQLite tells (`PRAGMA data_version`). The write comes first: a writer then waits
//! for the disk, and only then says in shared memory, where nobody is told, that the commit counts.
//! So we look when its lock is free. Only these two files are watched, not what else lies beside
//! them: the audit file grows with every request.
//!
//! A user has few inotify instances (128 unless the operator raised it, shared with every editor),
//! and each write wakes all that watch. So we listen only after a question, for a while, and where
//! no instance is left we look by the clock.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use vault_store::Vault;
use vault_store::database::{DatabaseError, WriteLock};

/// Between two looks at a writer's lock; it doubles, since each keeper of the vault looks.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// Also between two looks by the clock: a change must count within 100 ms.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) struct Watch {
    ear: Ear,
    write_lock: WriteLock,
    /// Device and inode of what is open.
    file: (u64, u64),
    seen: i64,
    /// When to look next, whatever is heard, and how long to wait after that.
    next: Option<(Instant, Duration)>,
}

#[derive(Debug)]
enum Ear {
    /// Nobody remembers an answer, so nobody needs to know.
    Asleep,
    Listening(Inotify),
    /// No inotify instance is left.
    Deaf,
}

#[derive(Debug)]
pub(crate) enum WatchError {
    Inotify {
        what: String,
        why: io::Error,
    },
    Lock(io::Error),
    Database(DatabaseError),
    /// The file was moved away or removed: what is open is no longer the vault.
    Replaced(PathBuf),
}

impl Watch {
    /// Asleep, with the database as it is now for known.
    pub(crate) fn on(vault: &Vault) -> Result<Self, WatchError> {
        // First of all: reading its version makes the other files appear.
        let seen = vault.data_version().map_err(WatchError::Database)?;
        let write_lock = vault.write_lock().map_err(WatchError::Lock)?;
        let file = identity(vault.path())?;
        Ok(Self { ear: Ear::Asleep, write_lock, file, seen, next: None })
    }

    /// From now on changes are noticed; those since `sleep` with the next call of `changed`.
    pub(crate) fn wake(&mut self, vault: &Vault) -> Result<(), WatchError> {
        if self.is_awake() {
            return Ok(());
        }
        self.ear = match listen(vault.path()) {
            Ok(inotify) => Ear::Listening(inotify),
            Err(WatchError::Inotify { what, why }) => {
                log::info!(
                    "{what}: {why}: looking at the vault {} times a second while it is asked\n\
                     hint: raise fs.inotify.max_user_instances (sysctl)",
                    Duration::from_secs(1).as_millis() / LONGEST_PAUSE.as_millis()
                );
                Ear::Deaf
            }
            Err(why) => return Err(why),
        };
        self.next = Some((Instant::now(), FIRST_PAUSE));
        self.refuse_replaced(vault)
    }

    pub(crate) fn is_awake(&self) -> bool {
        !matches!(self.ear, Ear::Asleep)
    }

    /// Nobody needs to know of changes any more.
    pub(crate) fn sleep(&mut self) {
        self.ear = Ear::Asleep;
        self.next = None;
    }

    /// Whether the database has changed since the last time we looked. `written` says that the
    /// descriptor is readable; without it we look only when it is time to.
    pub(crate) fn changed(&mut self, vault: &Vault, written: bool) -> Result<bool, WatchError> {
        let now = Instant::now();
        let pause = match self.next {
            Some((next, pause)) if written || next <= now => pause,
            None if written => FIRST_PAUSE,
            _ => return Ok(false),
        };
        let later = (now + pause, (2 * pause).min(LONGEST_PAUSE));
        self.next = match &self.ear {
            Ear::Asleep => return Ok(false),
            Ear::Deaf => {
                self.refuse_replaced(vault)?;
                Some((now + LONGEST_PAUSE, LONGEST_PAUSE))
            }
            // In this order: who writes after we took the events makes others, and whoever wrote
            // before and has no lock any more has committed.
            Ear::Listening(inotify) => {
                take_events(inotify)?;
                self.refuse_replaced(vault)?;
                // Where that cannot be told we look on, as if somebody wrote.
                self.write_lock.is_held().unwrap_or(true).then_some(later)
            }
        };
        let version = vault.data_version().map_err(WatchError::Database)?;
        Ok(std::mem::replace(&mut self.seen, version) != version)
    }

    /// When to call `changed` although nothing was written.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.next.map(|(next, _)| next)
    }

    /// What is readable after a write, while we listen.
    pub(crate) fn ear(&self) -> Option<BorrowedFd<'_>> {
        match &self.ear {
            Ear::Listening(inotify) => Some(inotify.as_fd()),
            Ear::Asleep | Ear::Deaf => None,
        }
    }

    fn refuse_replaced(&self, vault: &Vault) -> Result<(), WatchError> {
        if identity(vault.path())? == self.file {
            return Ok(());
        }
        Err(WatchError::Replaced(vault.path().to_owned()))
    }
}

fn listen(database: &Path) -> Result<Inotify, WatchError> {
    let failed =
        |what: String| move |errno: nix::Error| WatchError::Inotify { what, why: errno.into() };
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
        .map_err(failed("start inotify".to_owned()))?;
    let mut log = database.as_os_str().to_owned();
    log.push("-wal");
    let directory = database.parent().unwrap_or(Path::new("/"));
    // A file that we have open is not deleted when its name goes: its count of links changes.
    let moved = AddWatchFlags::IN_MOVE_SELF;
    let changed = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_ATTRIB | moved;
    for (path, events) in [(database, changed), (Path::new(&log), changed), (directory, moved)] {
        let what = format!("watch {}", path.display());
        match inotify.add_watch(path, events) {
            Ok(_) => {}
            Err(nix::Error::ENOENT) => return Err(WatchError::Replaced(database.to_owned())),
            Err(errno) => return Err(failed(what)(errno)),
        }
    }
    Ok(inotify)
}

fn take_events(inotify: &Inotify) -> Result<(), WatchError> {
    match inotify.read_events() {
        Ok(_) | Err(nix::Error::EAGAIN) => Ok(()),
        Err(errno) => {
            Err(WatchError::Inotify { what: "read inotify events".to_owned(), why: errno.into() })
        }
    }
}

fn identity(database: &Path) -> Result<(u64, u64), WatchError> {
    let file = fs::metadata(database).map_err(|_| WatchError::Replaced(database.to_owned()))?;
    Ok((file.dev(), file.ino()))
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inotify { what, why } => write!(f, "{what}: {why}"),
            Self::Lock(why) => write!(f, "open the file of the vault's write lock: {why}"),
            Self::Database(why) => why.fmt(f),
            Self::Replaced(path) => write!(f, "vault {} was replaced", path.display()),
        }
    }
}

impl std::error::Error for WatchError {}

#[cfg(test)]
mod tests {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use terok_shared::secret::Secret;
    use vault_store::credential::{Credential, KeyType};

    use super::*;

    struct House {
        directory: tempfile::TempDir,
        vault: Vault,
        writer: Vault,
    }

    impl House {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("credentials.db");
            let passphrase = Secret::from("a passphrase".to_owned());
            let writer = Vault::create(&path, &passphrase).unwrap();
            let vault = Vault::open(&path, &passphrase).unwrap();
            Self { directory, vault, writer }
        }

        fn write(&mut self) {
            let credential = Credential::key(KeyType::ApiKey, &Secret::from("v".to_owned()));
            self.writer.put_credential("default", "api", &credential).unwrap();
        }
    }

    #[test]
    fn what_changed_while_it_slept_is_seen_on_waking() {
        let mut house = House::new();
        let mut watch = Watch::on(&house.vault).unwrap();
        house.write();
        assert!(!watch.changed(&house.vault, false).unwrap());
        watch.wake(&house.vault).unwrap();
        assert!(watch.changed(&house.vault, false).unwrap());
        assert!(!watch.changed(&house.vault, false).unwrap());
        watch.sleep();
        assert!(watch.ear().is_none() && watch.due().is_none());
    }

    #[test]
    fn a_deaf_one_looks_by_the_clock() {
        let mut house = House::new();
        let mut watch = Watch::on(&house.vault).unwrap();
        watch.ear = Ear::Deaf;
        watch.next = Some((Instant::now(), FIRST_PAUSE));
        assert!(!watch.changed(&house.vault, false).unwrap());
        house.write();
        let due = watch.due().unwrap();
        assert!(due <= Instant::now() + LONGEST_PAUSE);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        assert!(watch.changed(&house.vault, false).unwrap());
    }

    #[test]
    fn another_file_in_its_place_is_no_change_but_an_end() {
        let house = House::new();
        let mut watch = Watch::on(&house.vault).unwrap();
        let aside = house.directory.path().join("aside");
        fs::rename(house.vault.path(), &aside).unwrap();
        fs::copy(&aside, house.vault.path()).unwrap();
        assert!(matches!(watch.wake(&house.vault), Err(WatchError::Replaced(_))));
    }

    /// What it hears of at once when this happens to the vault while it listens.
    #[track_caller]
    fn heard(happens: impl Fn(&House)) -> Result<bool, WatchError> {
        let house = House::new();
        let mut watch = Watch::on(&house.vault).unwrap();
        watch.wake(&house.vault).unwrap();
        assert!(!watch.changed(&house.vault, false).unwrap());
        happens(&house);
        let mut ear = [PollFd::new(watch.ear().unwrap(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut ear, PollTimeout::from(1000_u16)), Ok(1), "nothing is heard");
        watch.changed(&house.vault, true)
    }

    #[test]
    fn one_that_listens_hears_of_another_file_or_directory_in_its_place_and_of_none() {
        let moved_over = |house: &House| {
            let copy = house.directory.path().join("copy");
            fs::copy(house.vault.path(), &copy).unwrap();
            fs::rename(copy, house.vault.path()).unwrap();
        };
        let moved_away = |house: &House| {
            fs::rename(house.vault.path(), house.directory.path().join("aside")).unwrap();
        };
        let removed = |house: &House| fs::remove_file(house.vault.path()).unwrap();
        let moved_with_its_directory = |house: &House| {
            let aside = house.directory.path().with_extension("aside");
            fs::rename(house.directory.path(), &aside).unwrap();
            fs::create_dir(house.directory.path()).unwrap();
            fs::remove_dir_all(aside).unwrap();
        };
        let all: [&dyn Fn(&House); 4] =
            [&moved_over, &moved_away, &removed, &moved_with_its_directory];
        for happens in all {
            assert!(matches!(heard(happens), Err(WatchError::Replaced(_))));
        }
    }

    #[test]
    fn another_mode_of_the_same_file_is_no_change() {
        use std::os::unix::fs::PermissionsExt;
        let tightened = |house: &House| {
            fs::set_permissions(house.vault.path(), fs::Permissions::from_mode(0o400)).unwrap();
        };
        assert!(!heard(tightened).unwrap());
    }
}

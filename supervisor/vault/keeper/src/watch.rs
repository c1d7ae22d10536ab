//! Notices that another process changed the database, within the moment and without polling.
//!
//! In write-ahead mode every commit is a write to the `-wal` file, which inotify(7) reports; what
//! it amounts to SQLite tells (`PRAGMA data_version`). The write comes first: a writer then waits
//! for the disk, and only then says in shared memory, where nobody is told, that the commit counts.
//! So after a write we look again for a while. Only these two files are watched: the audit file
//! beside them grows with every request.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use vault_store::Vault;
use vault_store::database::DatabaseError;

/// Between two looks after a write.
const AGAIN: Duration = Duration::from_millis(20);
/// How long a writer may wait for its disk.
const SETTLING: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Watch {
    inotify: Inotify,
    seen: i64,
    /// When to look next, and until when.
    again: Option<(Instant, Instant)>,
}

#[derive(Debug)]
pub(crate) enum WatchError {
    Inotify {
        what: String,
        why: io::Error,
    },
    Database(DatabaseError),
    /// The file was moved away or removed: what is open is no longer the vault.
    Replaced(PathBuf),
}

impl Watch {
    pub(crate) fn on(vault: &Vault) -> Result<Self, WatchError> {
        let failed =
            |what: String| move |errno: nix::Error| WatchError::Inotify { what, why: errno.into() };
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .map_err(failed("start inotify".to_owned()))?;
        let database = vault.path();
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        let gone = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
        // The database first: reading its version makes the write-ahead log appear.
        let seen = vault.data_version().map_err(WatchError::Database)?;
        for path in [database.to_owned(), PathBuf::from(log)] {
            let what = format!("watch {}", path.display());
            inotify.add_watch(&path, AddWatchFlags::IN_MODIFY | gone).map_err(failed(what))?;
        }
        Ok(Self { inotify, seen, again: None })
    }

    /// Whether the database has changed since the last time we looked. `written` says that the
    /// descriptor is readable; without it we look only when it is time to.
    pub(crate) fn changed(&mut self, vault: &Vault, written: bool) -> Result<bool, WatchError> {
        let now = Instant::now();
        if written {
            self.take_events(vault)?;
            self.again = Some((now + AGAIN, now + SETTLING));
        } else {
            match self.again {
                Some((next, _)) if next > now => return Ok(false),
                Some((_, until)) if until > now => self.again = Some((now + AGAIN, until)),
                Some(_) => self.again = None,
                None => return Ok(false),
            }
        }
        let version = vault.data_version().map_err(WatchError::Database)?;
        Ok(std::mem::replace(&mut self.seen, version) != version)
    }

    /// When to call `changed` although nothing was written.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.again.map(|(next, _)| next)
    }

    fn take_events(&self, vault: &Vault) -> Result<(), WatchError> {
        let gone = AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
        match self.inotify.read_events() {
            Ok(events) if events.iter().any(|event| event.mask.intersects(gone)) => {
                Err(WatchError::Replaced(vault.path().to_owned()))
            }
            Ok(_) | Err(nix::Error::EAGAIN) => Ok(()),
            Err(errno) => {
                let what = "read inotify events".to_owned();
                Err(WatchError::Inotify { what, why: errno.into() })
            }
        }
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

impl fmt::Display for WatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inotify { what, why } => write!(f, "{what}: {why}"),
            Self::Database(why) => why.fmt(f),
            Self::Replaced(path) => write!(f, "vault {} was replaced", path.display()),
        }
    }
}

impl std::error::Error for WatchError {}

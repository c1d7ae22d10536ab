//! Whether anybody is writing right now, without asking SQLite.
//!
//! A writer holds WAL_WRITE_LOCK, one byte of the `-shm` file, from before its first frame until
//! after its commit counts (sqlite.org/walformat.html § 2.3.1). Whoever hears of a write to the
//! `-wal` file and then finds the lock free reads what was written.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, fcntl};

use super::Vault;

/// Where the lock is in the `-shm` file.
const WAL_WRITE_LOCK: libc::off_t = 120;

/// The lock of one database, to be looked at only.
#[derive(Debug)]
pub struct WriteLock(&'static File);

impl Vault {
    /// # Errors
    /// When the `-shm` file, which is there while the database is open, cannot be read.
    pub fn write_lock(&self) -> io::Result<WriteLock> {
        let mut shared = self.path.as_os_str().to_owned();
        shared.push("-shm");
        let file = File::open(PathBuf::from(shared))?;
        // Never closed: closing it would free all locks that SQLite has on it in this process
        // (fcntl_locking(2), "the process's locks on that file are released").
        Ok(WriteLock(Box::leak(Box::new(file))))
    }
}

impl WriteLock {
    /// Whether a transaction of any connection, also of this process, may be writing.
    pub fn is_held(&self) -> io::Result<bool> {
        let mut lock = libc::flock {
            l_type: libc::F_RDLCK as libc::c_short,
            l_whence: libc::SEEK_SET as libc::c_short,
            l_start: WAL_WRITE_LOCK,
            l_len: 1,
            l_pid: 0,
        };
        fcntl(self.0.as_fd(), FcntlArg::F_OFD_GETLK(&mut lock))?;
        Ok(libc::c_int::from(lock.l_type) != libc::F_UNLCK)
    }
}

#[cfg(test)]
mod tests {
    use terok_shared::secret::Secret;

    use super::Vault;
    use crate::database::DatabaseError;

    #[test]
    fn it_is_held_while_a_transaction_writes_and_by_no_reader() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("credentials.db");
        let passphrase = Secret::from("a passphrase".to_owned());
        let mut writer = Vault::create(&path, &passphrase).unwrap();
        let reader = Vault::open(&path, &passphrase).unwrap();
        let lock = reader.write_lock().unwrap();
        reader.data_version().unwrap();
        assert!(!lock.is_held().unwrap());
        writer
            .write(|_| {
                assert!(lock.is_held().unwrap());
                Ok::<_, DatabaseError>(())
            })
            .unwrap();
        assert!(!lock.is_held().unwrap());
    }
}

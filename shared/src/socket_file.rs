//! The file of a unix socket: a stale one is removed, a living one and anything else is refused.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

#[derive(Debug)]
pub enum SocketFileError {
    /// Somebody accepts connections there.
    InUse(PathBuf),
    NotASocket(PathBuf),
    Io {
        path: PathBuf,
        why: io::Error,
    },
}

/// Makes room for a new socket at `path`.
pub fn clear(path: &Path) -> Result<(), SocketFileError> {
    let io = |why| SocketFileError::Io { path: path.to_owned(), why };
    match fs::symlink_metadata(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(why) => return Err(io(why)),
        Ok(facts) if !facts.file_type().is_socket() => {
            return Err(SocketFileError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match knock(path) {
        // Nobody listens any more (connect(2)).
        Err(Errno::ECONNREFUSED) => remove(path).map_err(io),
        Err(Errno::ENOENT) => Ok(()),
        // EAGAIN: its queue is full, and may stay so.
        Ok(()) | Err(Errno::EAGAIN) => Err(SocketFileError::InUse(path.to_owned())),
        Err(errno) => Err(io(errno.into())),
    }
}

/// Connects, if that can be done at once.
fn knock(path: &Path) -> nix::Result<()> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let client = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(client.as_raw_fd(), &UnixAddr::new(path)?)
}

/// Removes the file; one that is already gone is fine.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

impl fmt::Display for SocketFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(path) => write!(
                f,
                "socket {}: another process is serving there\n\
                 hint: stop the other supervisor of this container",
                path.display()
            ),
            Self::NotASocket(path) => {
                write!(f, "socket {}: something that is no socket is in the way", path.display())
            }
            Self::Io { path, why } => write!(f, "socket {}: {why}", path.display()),
        }
    }
}

impl std::error::Error for SocketFileError {}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{Backlog, bind, listen};
    use std::os::unix::net::UnixListener;

    #[test]
    fn a_stale_socket_goes_and_a_living_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        clear(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        assert!(matches!(clear(&path), Err(SocketFileError::InUse(_))));
        drop(listener);
        clear(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_living_socket_whose_queue_is_full_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let flags = SockFlag::SOCK_CLOEXEC;
        let listener = socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
        bind(listener.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        listen(&listener, Backlog::new(1).unwrap()).unwrap();
        while knock(&path).is_ok() {}
        assert!(matches!(clear(&path), Err(SocketFileError::InUse(_))));
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(clear(&path), Err(SocketFileError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }
}

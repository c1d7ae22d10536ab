//! Whether a client of the plain agent socket lives in the container: asked of the kernel, because
//! such a client presents nothing.
//!
//! In come the container's pid namespace and a connected socket. The kernel remembers which
//! process connected (SO_PEERPIDFD, socket(7)) and knows that process's pid inside the namespace,
//! if it has one (ioctl_nsfs(2)). Neither question needs a right over the other process.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{UnixAddr, getsockname, getsockopt, sockopt};
use terok_shared::sys::pid_namespace;

/// The container's processes: those of its pid namespace and of namespaces made inside it.
#[derive(Debug)]
pub(crate) struct Neighbours {
    namespace: OwnedFd,
    /// Where they come in without a handshake.
    socket: UnixAddr,
}

#[derive(Debug)]
pub(crate) enum NeighbourError {
    /// The process that connected has ended since: nobody knows any more where it lived.
    Gone,
    Stranger {
        pid: i32,
    },
    Unknown(io::Error),
}

impl Neighbours {
    /// `socket` is the listening one.
    pub(crate) fn of(namespace: OwnedFd, socket: &OwnedFd) -> Result<Self, NeighbourError> {
        let socket = getsockname(socket.as_raw_fd()).map_err(unknown)?;
        Ok(Self { namespace, socket })
    }

    /// Whether this client came in at their socket: a connection has the address of the listener
    /// that it was accepted on.
    pub(crate) fn came_in(&self, client: &impl AsFd) -> bool {
        getsockname::<UnixAddr>(client.as_fd().as_raw_fd())
            .is_ok_and(|address| address == self.socket)
    }

    /// `Ok` when the process that connected lives in the container.
    pub(crate) fn admit(&self, client: &impl AsFd) -> Result<(), NeighbourError> {
        let pid = getsockopt(client, sockopt::PeerCredentials).map_err(unknown)?.pid();
        // Held open so that the number cannot pass on to another process unnoticed.
        let process = getsockopt(client, sockopt::PeerPidfd).map_err(|errno| match errno {
            nix::Error::ESRCH | nix::Error::EINVAL | nix::Error::ENODATA => NeighbourError::Gone,
            errno => unknown(errno),
        })?;
        let inside = pid_namespace::pid_inside(self.namespace.as_fd(), pid)
            .map_err(NeighbourError::Unknown)?;
        let mut ended = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
        if poll(&mut ended, PollTimeout::ZERO).map_err(unknown)? > 0 {
            return Err(NeighbourError::Gone);
        }
        inside.map(drop).ok_or(NeighbourError::Stranger { pid })
    }
}

fn unknown(errno: nix::Error) -> NeighbourError {
    NeighbourError::Unknown(errno.into())
}

impl fmt::Display for NeighbourError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => write!(f, "the process that connected has ended"),
            Self::Stranger { pid } => write!(f, "process {pid} is not of this container"),
            Self::Unknown(why) => write!(f, "find out where the client lives: {why}"),
        }
    }
}

impl std::error::Error for NeighbourError {}

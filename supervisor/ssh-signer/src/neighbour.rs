//! Whether a client of the plain agent socket lives in the container: asked of the kernel, because
//! such a client presents nothing.
//!
//! In come the container's pid namespace and a connected socket. The kernel remembers which
//! process connected (SO_PEERPIDFD, socket(7)) and knows that process's pid inside the namespace,
//! if it has one (ioctl_nsfs(2)). Neither question needs a right over the other process. A kernel
//! that knows no answer (before Linux 6.11) leaves the pid (SO_PEERCRED), and the parent to say
//! where it lives.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, UnixAddr, getsockname, getsockopt, recv, send, sockopt};
use terok_shared::sys::pid_namespace;
use terok_shared::witness::{Question, Verdict};

/// The parent answers within microseconds. Nobody is served meanwhile.
const PATIENCE: Duration = Duration::from_millis(500);

/// The container's processes: those of its pid namespace and of namespaces made inside it.
#[derive(Debug)]
pub(crate) struct Neighbours {
    whereabouts: Whereabouts,
    /// Where they come in without a handshake.
    socket: UnixAddr,
}

/// What tells where a process lives.
#[derive(Debug)]
pub(crate) enum Whereabouts {
    /// The container's pid namespace.
    Namespace(OwnedFd),
    Witness(Witness),
}

/// The parent, at the other end of a packet pair.
#[derive(Debug)]
pub(crate) struct Witness {
    line: OwnedFd,
    asked: Cell<u64>,
}

#[derive(Debug)]
pub(crate) enum NeighbourError {
    /// The process that connected has ended since: nobody knows any more where it lived.
    Gone,
    Stranger {
        pid: i32,
    },
    /// The parent could not find out.
    NotTold {
        pid: i32,
    },
    Unknown(io::Error),
}

impl Neighbours {
    /// `socket` is the listening one.
    pub(crate) fn of(whereabouts: Whereabouts, socket: &OwnedFd) -> Result<Self, NeighbourError> {
        let socket = getsockname(socket.as_raw_fd()).map_err(unknown)?;
        Ok(Self { whereabouts, socket })
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
        match &self.whereabouts {
            Whereabouts::Namespace(namespace) => is_inside(namespace, pid, client),
            Whereabouts::Witness(witness) => match witness.ask(pid).map_err(unknown)? {
                Verdict::Inside => Ok(()),
                Verdict::Outside => Err(NeighbourError::Stranger { pid }),
                Verdict::Gone => Err(NeighbourError::Gone),
                Verdict::Unknown => Err(NeighbourError::NotTold { pid }),
            },
        }
    }
}

fn is_inside(namespace: &OwnedFd, pid: i32, client: &impl AsFd) -> Result<(), NeighbourError> {
    // Held open so that the number cannot pass on to another process unnoticed.
    let process = getsockopt(client, sockopt::PeerPidfd).map_err(|errno| match errno {
        nix::Error::ESRCH | nix::Error::EINVAL | nix::Error::ENODATA => NeighbourError::Gone,
        errno => unknown(errno),
    })?;
    let inside =
        pid_namespace::pid_inside(namespace.as_fd(), pid).map_err(NeighbourError::Unknown)?;
    let mut ended = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    if poll(&mut ended, PollTimeout::ZERO).map_err(unknown)? > 0 {
        return Err(NeighbourError::Gone);
    }
    inside.map(drop).ok_or(NeighbourError::Stranger { pid })
}

impl Witness {
    pub(crate) fn at(line: OwnedFd) -> Self {
        // Above every number of the signer that had this line before.
        Self { line, asked: Cell::new(u64::from(std::process::id()) << 32) }
    }

    /// Waits for the answer, at most `PATIENCE`.
    fn ask(&self, pid: i32) -> nix::Result<Verdict> {
        let number = self.asked.get() + 1;
        self.asked.set(number);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        send(self.line.as_raw_fd(), &Question { number, pid }.to_bytes(), flags)?;
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let limit = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            if poll(&mut [PollFd::new(self.line.as_fd(), PollFlags::POLLIN)], limit)? == 0 {
                return Err(nix::Error::ETIMEDOUT);
            }
            let mut packet = [0; 64];
            let length = recv(self.line.as_raw_fd(), &mut packet, MsgFlags::MSG_DONTWAIT)?;
            match packet.get(..length).and_then(Verdict::from_bytes) {
                Some((about, verdict)) if about == number => return Ok(verdict),
                // The end, which stays.
                None if length == 0 => return Err(nix::Error::EPIPE),
                // To a question that was given up.
                _ => {}
            }
        }
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
            Self::NotTold { pid } => {
                write!(f, "nobody could tell whether process {pid} is of this container")
            }
            Self::Unknown(why) => write!(f, "find out where the client lives: {why}"),
        }
    }
}

impl std::error::Error for NeighbourError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};
    use terok_shared::packet_pair;

    /// A client that connected, as its own neighbour, and the parent's end of the line.
    fn at_the_door() -> (Neighbours, UnixStream, UnixStream, OwnedFd) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("agent.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let (accepted, _) = listener.accept().unwrap();
        let (parents_end, line) = packet_pair::new().unwrap();
        let witness = Whereabouts::Witness(Witness::at(line));
        (Neighbours::of(witness, &listener.into()).unwrap(), client, accepted, parents_end)
    }

    #[test]
    fn the_parents_word_about_the_pid_that_connected_decides() {
        let (neighbours, _client, accepted, parent) = at_the_door();
        assert!(neighbours.came_in(&accepted));
        for (verdict, outcome) in [
            (Verdict::Inside, "Ok(())"),
            (Verdict::Outside, "Err(Stranger"),
            (Verdict::Gone, "Err(Gone"),
            (Verdict::Unknown, "Err(NotTold"),
        ] {
            let parent = parent.try_clone().unwrap();
            let answering = std::thread::spawn(move || {
                let mut packet = [0; 64];
                let length = recv(parent.as_raw_fd(), &mut packet, MsgFlags::empty()).unwrap();
                let question = Question::from_bytes(&packet[..length]).unwrap();
                assert_eq!(question.pid, std::process::id() as i32);
                // Late answers and garbage are passed over.
                for packet in [
                    &Verdict::Inside.to_bytes(question.number - 1)[..],
                    b"garbage",
                    &verdict.to_bytes(question.number),
                ] {
                    send(parent.as_raw_fd(), packet, MsgFlags::empty()).unwrap();
                }
            });
            let admitted = format!("{:?}", neighbours.admit(&accepted));
            assert!(admitted.starts_with(outcome), "{admitted}");
            answering.join().unwrap();
        }
    }

    #[test]
    fn a_parent_that_is_silent_or_gone_lets_nobody_in() {
        let (neighbours, _client, accepted, parent) = at_the_door();
        let began = Instant::now();
        assert!(matches!(neighbours.admit(&accepted), Err(NeighbourError::Unknown(_))));
        assert!(began.elapsed() >= PATIENCE / 2);
        drop(parent);
        assert!(matches!(neighbours.admit(&accepted), Err(NeighbourError::Unknown(_))));
    }
}

//! Says which processes live in the container, for a signer whose kernel does not (before
//! Linux 6.11, where only a process's namespaces in /proc tell).
//!
//! In come pids, over a packet pair from the signer; out goes one word for each. Reading another
//! process's namespaces takes a right over it (ptrace(2), "Ptrace access mode checking") that the
//! parent has and a service has given up. The question tells nobody anything: at worst, which pids
//! are the container's.
//!
//! A pid is a number: a process that connected could end, and the kernel come round to its number
//! again before the question is asked. The start time, read before and after, shows that the answer
//! is about one process, not that it is the one that connected. To be mistaken the kernel would have
//! to hand out every other number (32768 at least) between a connection and its first look, a
//! millisecond, to somebody who may open the operator's private directory.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use nix::sys::socket::{MsgFlags, recv, send};
use terok_shared::packet_pair;
use terok_shared::process::Process;
use terok_shared::sys::pid_namespace;
use terok_shared::witness::{Question, Verdict};

/// As deep as pid namespaces can be nested (pid_namespaces(7)).
const DEEPEST: usize = 32;

/// Questions taken before the loop turns to others.
const AT_ONCE: usize = 16;

#[derive(Debug)]
pub(crate) struct Witness {
    line: OwnedFd,
    container: Namespace,
}

/// A namespace's identity (namespaces(7)). Kept open, or the number could pass on.
#[derive(Debug)]
struct Namespace {
    file: File,
    identity: (u64, u64),
}

#[derive(Debug)]
enum WitnessError {
    Look { pid: i32, why: io::Error },
}

impl Witness {
    /// `namespace` is the container's, an open /proc/PID/ns/pid. Gives back the signer's end.
    pub(crate) fn of(namespace: File) -> io::Result<(Self, OwnedFd)> {
        let (line, signers_end) = packet_pair::new()?;
        Ok((Self { line, container: Namespace::of(namespace)? }, signers_end))
    }

    /// Answers what was asked, without waiting.
    pub(crate) fn answer(&self) {
        for _ in 0..AT_ONCE {
            let mut packet = [0; 64];
            let line = self.line.as_raw_fd();
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            let Ok(length @ 1..) = recv(line, &mut packet, flags) else { return };
            let question = packet.get(..length).and_then(Question::from_bytes);
            let Some(Question { number, pid }) = question else {
                log::warn!("the signer asked the witness what is no question");
                continue;
            };
            let verdict = self.verdict(pid).unwrap_or_else(|why| {
                log::warn!("{why}");
                Verdict::Unknown
            });
            // A signer that does not read has ended or is refused by its own limit.
            let _ = send(line, &verdict.to_bytes(number), flags);
        }
    }

    fn verdict(&self, pid: i32) -> Result<Verdict, WitnessError> {
        let Ok(process) = Process::of(pid) else { return Ok(Verdict::Gone) };
        let inside = match self.is_inside(pid) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Verdict::Gone),
            // Whom we may not look at runs as somebody else, outside.
            Err(why) if why.kind() == io::ErrorKind::PermissionDenied => false,
            looked => looked.map_err(|why| WitnessError::Look { pid, why })?,
        };
        Ok(match (process.is_alive(), inside) {
            (false, _) => Verdict::Gone,
            (true, true) => Verdict::Inside,
            (true, false) => Verdict::Outside,
        })
    }

    /// Whether it lives in the container's pid namespace or in one made inside it.
    fn is_inside(&self, pid: i32) -> io::Result<bool> {
        let mut namespace = Namespace::of(File::open(format!("/proc/{pid}/ns/pid"))?)?;
        for _ in 0..DEEPEST {
            if namespace.identity == self.container.identity {
                return Ok(true);
            }
            match pid_namespace::parent(namespace.file.as_fd())? {
                Some(outer) => namespace = Namespace::of(outer.into())?,
                None => return Ok(false),
            }
        }
        Ok(false)
    }
}

impl AsFd for Witness {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.line.as_fd()
    }
}

impl Namespace {
    fn of(file: File) -> io::Result<Self> {
        let facts = file.metadata()?;
        Ok(Self { file, identity: (facts.dev(), facts.ino()) })
    }
}

impl fmt::Display for WitnessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Look { pid, why } => write!(f, "look where process {pid} lives: {why}"),
        }
    }
}

impl std::error::Error for WitnessError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> (Witness, OwnedFd) {
        Witness::of(File::open("/proc/self/ns/pid").unwrap()).unwrap()
    }

    #[test]
    fn a_living_process_is_inside_and_none_is_gone() {
        let (witness, _line) = ours();
        let own = std::process::id() as i32;
        assert_eq!(witness.verdict(own).unwrap(), Verdict::Inside);
        for nobody in [0, -1, i32::MIN, i32::MAX] {
            assert_eq!(witness.verdict(nobody).unwrap(), Verdict::Gone, "{nobody}");
        }
    }

    #[test]
    fn a_question_is_answered_by_its_number_and_garbage_is_not() {
        let (witness, line) = ours();
        let own = std::process::id() as i32;
        for packet in [&b"x"[..], &[0; 64], &Question { number: 5, pid: own }.to_bytes()] {
            send(line.as_raw_fd(), packet, MsgFlags::empty()).unwrap();
        }
        witness.answer();
        let mut answer = [0; 64];
        let length = recv(line.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT).unwrap();
        assert_eq!(Verdict::from_bytes(&answer[..length]), Some((5, Verdict::Inside)));
        assert!(recv(line.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT).is_err());
    }
}

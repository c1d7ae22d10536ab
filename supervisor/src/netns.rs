//! Listening inside the container's own network namespace, so that a container without any
//! network finds its services on its own loopback.
//!
//! The parent stays in its namespace. A helper (this same program, started anew) enters the other
//! one, gives up every capability, binds, passes the sockets back and ends: `enter` is all it is.

mod enter;

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};
use terok_shared::process::Process;
use terok_shared::{descriptor_packet, packet_pair};

pub(crate) use enter::enter;

/// The word that makes this program the helper.
pub(crate) const HELPER: &str = "--bind-inside";
/// Where the helper finds the namespace to enter, and the socket to answer on.
const NAMESPACE_FD: RawFd = 3;
const ANSWER_FD: RawFd = 4;
/// Listeners at most: broker and gate.
const MAX_LISTENERS: usize = 2;

#[derive(Debug)]
pub(crate) enum NetnsError {
    /// The container shares our network namespace: its loopback is the host's.
    SharedWithHost,
    /// What the helper could not do, in its own words.
    Helper(String),
    Io {
        what: &'static str,
        why: io::Error,
    },
}

/// Listening sockets on 127.0.0.1 of the container's network namespace, one for each port.
pub(crate) fn listen_inside(container: Process, ports: &[u16]) -> Result<Vec<OwnedFd>, NetnsError> {
    let namespace = namespace_of(container)?;
    let failed = |what| move |why| NetnsError::Io { what, why };
    let (ours, theirs) = packet_pair::new().map_err(failed("make the helper's socket"))?;
    let mut helper = Command::new("/proc/self/exe");
    helper
        .arg(HELPER)
        .args(ports.iter().map(u16::to_string))
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null());
    helper
        .fd_mappings(vec![
            FdMapping { parent_fd: namespace.into(), child_fd: NAMESPACE_FD },
            FdMapping { parent_fd: theirs, child_fd: ANSWER_FD },
        ])
        .map_err(|why| failed("hand descriptors to the helper")(io::Error::other(why)))?;
    let mut child = helper.spawn().map_err(failed("start the helper"))?;
    // The helper's ends live in the command until it goes; without this its death would not end
    // the wait for its answer.
    drop(helper);
    let answer = receive(&ours).map_err(failed("hear from the helper"));
    child.wait().map_err(failed("wait for the helper"))?;
    match answer? {
        Answer::Sockets(sockets) if sockets.len() == ports.len() => Ok(sockets),
        Answer::Sockets(_) => Err(NetnsError::Helper("it bound too few sockets".to_owned())),
        Answer::Words(words) => Err(NetnsError::Helper(words)),
    }
}

/// An open handle of the container's network namespace (namespaces(7)), which must not be ours.
fn namespace_of(container: Process) -> Result<File, NetnsError> {
    let failed = |what| move |why| NetnsError::Io { what, why };
    let theirs = File::open(format!("/proc/{}/ns/net", container.pid()))
        .map_err(failed("open the container's network namespace"))?;
    // Opened first, checked afterwards: the number could have changed hands in between.
    if !container.is_alive() {
        let gone = io::Error::from_raw_os_error(libc::ESRCH);
        return Err(failed("open the container's network namespace")(gone));
    }
    let identity = |file: &File| file.metadata().map(|facts| (facts.dev(), facts.ino()));
    let ours = File::open("/proc/self/ns/net").and_then(|file| identity(&file));
    let same = identity(&theirs).and_then(|theirs| Ok(theirs == ours?));
    if same.map_err(failed("compare network namespaces"))? {
        return Err(NetnsError::SharedWithHost);
    }
    Ok(theirs)
}

enum Answer {
    Sockets(Vec<OwnedFd>),
    Words(String),
}

/// One packet: sockets, or words of what went wrong.
fn receive(answer: &OwnedFd) -> io::Result<Answer> {
    let mut words = [0u8; 512];
    let (length, sockets) = descriptor_packet::receive(answer, &mut words)?;
    if sockets.is_empty() {
        let said = String::from_utf8_lossy(&words[..length]).into_owned();
        let said = if said.is_empty() { "it ended without a word".to_owned() } else { said };
        return Ok(Answer::Words(said));
    }
    Ok(Answer::Sockets(sockets))
}

impl fmt::Display for NetnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SharedWithHost => write!(
                f,
                "the container shares the host's network, so its loopback is the host's\n\
                 hint: run it without --network=host, or without `loopback` in its sidecar"
            ),
            Self::Helper(words) => write!(f, "inside the container's network: {words}"),
            Self::Io { what, why } => write!(f, "{what}: {why}"),
        }
    }
}

impl std::error::Error for NetnsError {}

//! The agent socket without a handshake: bound beside the contract's, together with what the
//! signer tells this container's processes from others by.
//!
//! The namespace is opened here because it takes a right over the container's init, which the
//! signer has given up. A kernel that does not answer the signer by it answers us: `witness`.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use terok_shared::endpoint::{self, Endpoint, EndpointError};
use terok_shared::process::Process;
use terok_shared::sidecar::Sidecar;
use terok_shared::sys::pid_namespace;

use crate::listen::{self, ListenError};
use crate::witness::Witness;

#[derive(Debug)]
pub(crate) struct AgentSocket {
    pub(crate) path: PathBuf,
    pub(crate) listener: OwnedFd,
    pub(crate) whereabouts: Whereabouts,
}

/// How the signer learns where a client lives.
#[derive(Debug)]
pub(crate) enum Whereabouts {
    /// By the container's pid namespace.
    Namespace(OwnedFd),
    /// By asking us, at this end.
    Witness(Witness, OwnedFd),
}

#[derive(Debug)]
pub(crate) enum AgentSocketError {
    NoContainer,
    /// Every process of the host would pass for one of the container.
    SharedWithHost,
    Namespace(io::Error),
    Endpoint(EndpointError),
    Listen(ListenError),
}

pub(crate) fn open(
    sidecar: &Sidecar,
    container: Option<Process>,
) -> Result<AgentSocket, AgentSocketError> {
    let whereabouts = pids_of(container.ok_or(AgentSocketError::NoContainer)?)?;
    let path = endpoint::agent(sidecar).map_err(AgentSocketError::Endpoint)?;
    let listener = listen::bind(&Endpoint::Unix(path.clone())).map_err(AgentSocketError::Listen)?;
    Ok(AgentSocket { path, listener, whereabouts })
}

fn pids_of(container: Process) -> Result<Whereabouts, AgentSocketError> {
    let theirs = File::open(format!("/proc/{}/ns/pid", container.pid()))
        .map_err(AgentSocketError::Namespace)?;
    // Opened first, checked afterwards: the number could have changed hands in between.
    if !container.is_alive() {
        return Err(AgentSocketError::Namespace(io::Error::from_raw_os_error(libc::ESRCH)));
    }
    let identity = |file: &File| file.metadata().map(|facts| (facts.dev(), facts.ino()));
    let ours = File::open("/proc/self/ns/pid").and_then(|file| identity(&file));
    let same = identity(&theirs).and_then(|theirs| Ok(theirs == ours?));
    if same.map_err(AgentSocketError::Namespace)? {
        return Err(AgentSocketError::SharedWithHost);
    }
    match pid_namespace::pid_inside(theirs.as_fd(), container.pid()) {
        Ok(Some(_)) => Ok(Whereabouts::Namespace(theirs.into())),
        Ok(None) => Err(AgentSocketError::Namespace(io::Error::from_raw_os_error(libc::ESRCH))),
        Err(why) if why.raw_os_error() == Some(libc::ENOTTY) => {
            let (witness, signers_end) =
                Witness::of(theirs).map_err(AgentSocketError::Namespace)?;
            Ok(Whereabouts::Witness(witness, signers_end))
        }
        Err(why) => Err(AgentSocketError::Namespace(why)),
    }
}

impl fmt::Display for AgentSocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoContainer => {
                write!(f, "no container is watched\nhint: pass --container-pid")
            }
            Self::SharedWithHost => write!(
                f,
                "the container shares the host's processes, so nothing tells them apart\n\
                 hint: run it without --pid=host, or use the socket with the handshake"
            ),
            Self::Namespace(why) => write!(f, "look at the container's pid namespace: {why}"),
            Self::Endpoint(why) => why.fmt(f),
            Self::Listen(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for AgentSocketError {}

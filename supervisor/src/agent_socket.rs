//! The agent socket without a handshake: bound beside the contract's, together with what the
//! signer tells this container's processes from others by.
//!
//! The namespace is opened here because it takes a right over the container's init, which the
//! signer has given up.

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

#[derive(Debug)]
pub(crate) struct AgentSocket {
    pub(crate) path: PathBuf,
    pub(crate) listener: OwnedFd,
    /// The container's pid namespace.
    pub(crate) container_pids: OwnedFd,
}

#[derive(Debug)]
pub(crate) enum AgentSocketError {
    NoContainer,
    /// Every process of the host would pass for one of the container.
    SharedWithHost,
    OldKernel,
    Namespace(io::Error),
    Endpoint(EndpointError),
    Listen(ListenError),
}

pub(crate) fn open(
    sidecar: &Sidecar,
    container: Option<Process>,
) -> Result<AgentSocket, AgentSocketError> {
    let container_pids = pids_of(container.ok_or(AgentSocketError::NoContainer)?)?;
    let path = endpoint::agent(sidecar).map_err(AgentSocketError::Endpoint)?;
    let listener = listen::bind(&Endpoint::Unix(path.clone())).map_err(AgentSocketError::Listen)?;
    Ok(AgentSocket { path, listener, container_pids })
}

fn pids_of(container: Process) -> Result<OwnedFd, AgentSocketError> {
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
        Ok(Some(_)) => Ok(theirs.into()),
        Ok(None) => Err(AgentSocketError::Namespace(io::Error::from_raw_os_error(libc::ESRCH))),
        Err(why) if why.raw_os_error() == Some(libc::ENOTTY) => Err(AgentSocketError::OldKernel),
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
            Self::OldKernel => write!(
                f,
                "this kernel does not tell where a client lives\n\
                 hint: it takes Linux 6.11; the socket with the handshake works on any"
            ),
            Self::Namespace(why) => write!(f, "look at the container's pid namespace: {why}"),
            Self::Endpoint(why) => why.fmt(f),
            Self::Listen(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for AgentSocketError {}

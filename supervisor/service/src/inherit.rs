//! The descriptors the parent handed down, each taken over once.

use std::fs::File;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::time::Duration;

use terok_shared::handover::{
    AGENT_LISTENER_FD, AUDIT_FD, CONTAINER_PIDS_FD, LINE_FD, LISTENER_FD, LOOPBACK_LISTENER_FD,
    READY_FD, SIGNER_LINE_FD, WITNESS_FD,
};
use terok_shared::sys::descriptors;

use crate::clients::Listener;

/// What is there; which of it a service needs is the service's to say.
#[derive(Debug)]
pub struct Inherited {
    pub(crate) ready: Option<OwnedFd>,
    pub(crate) leave_after: Option<Duration>,
    listener: Option<OwnedFd>,
    loopback: Option<OwnedFd>,
    pub agent_listener: Option<OwnedFd>,
    pub container_pids: Option<OwnedFd>,
    pub witness: Option<OwnedFd>,
    pub line: Option<OwnedFd>,
    pub signer_line: Option<OwnedFd>,
    pub audit: Option<File>,
}

impl Inherited {
    pub(crate) fn take() -> io::Result<Self> {
        Ok(Self {
            ready: optional(READY_FD)?,
            leave_after: None,
            listener: optional(LISTENER_FD)?,
            loopback: optional(LOOPBACK_LISTENER_FD)?,
            agent_listener: optional(AGENT_LISTENER_FD)?,
            container_pids: optional(CONTAINER_PIDS_FD)?,
            witness: optional(WITNESS_FD)?,
            line: optional(LINE_FD)?,
            signer_line: optional(SIGNER_LINE_FD)?,
            audit: optional(AUDIT_FD)?.map(File::from),
        })
    }

    /// Where clients come in: the contract's socket and, where there are such, the socket inside
    /// the container's network namespace and the signer's socket without a handshake. Which one it
    /// was is in the local address of a client's connection.
    pub fn listener(&mut self) -> io::Result<Listener> {
        let first = self.listener.take().ok_or_else(|| missing("listening socket", LISTENER_FD))?;
        let sockets =
            std::iter::once(first).chain(self.loopback.take()).chain(self.agent_listener.take());
        Ok(Listener::new(sockets)?.leaving_after(self.leave_after))
    }

    /// The line to or from the keeper, for a service that cannot do without.
    pub fn line(&mut self) -> io::Result<OwnedFd> {
        self.line.take().ok_or_else(|| missing("line to the keeper", LINE_FD))
    }
}

fn optional(number: RawFd) -> io::Result<Option<OwnedFd>> {
    match descriptors::take(number) {
        Ok(descriptor) => Ok(Some(descriptor)),
        Err(why) if why.raw_os_error() == Some(libc::EBADF) => Ok(None),
        Err(why) => Err(why),
    }
}

fn missing(what: &str, number: RawFd) -> io::Error {
    io::Error::other(format!(
        "no {what} at descriptor {number}\nhint: this program is started by terok-supervisor"
    ))
}

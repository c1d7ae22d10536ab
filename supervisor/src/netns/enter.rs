//! The helper: a straight line from start to end, in the container's network namespace.

use std::fmt::Display;
use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use caps::CapSet;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use terok_shared::sys::descriptors;

use super::{ANSWER_FD, MAX_LISTENERS, NAMESPACE_FD};

/// Enters, binds the ports given as `arguments`, and answers with the sockets or with words.
pub(crate) fn enter(arguments: &[String]) -> io::Result<()> {
    descriptors::close_from(ANSWER_FD + 1)?;
    let namespace = descriptors::take(NAMESPACE_FD)?;
    let answer = descriptors::take(ANSWER_FD)?;
    match bound(&namespace, arguments) {
        Ok(sockets) => {
            let numbers: Vec<RawFd> = sockets.iter().map(AsRawFd::as_raw_fd).collect();
            say(&answer, b"bound", &[ControlMessage::ScmRights(&numbers)])
        }
        Err(why) => say(&answer, why.as_bytes(), &[]),
    }
}

fn bound(namespace: &OwnedFd, arguments: &[String]) -> Result<Vec<TcpListener>, String> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|why| step("arm the death signal", why))?;
    prctl::set_no_new_privs().map_err(|why| step("set no_new_privs", why))?;
    setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|why| step("enter", why))?;
    for set in [CapSet::Bounding, CapSet::Permitted, CapSet::Inheritable] {
        caps::clear(None, set).map_err(|why| step("drop capabilities", why))?;
    }
    arguments.iter().take(MAX_LISTENERS).map(|port| listen(port)).collect()
}

fn listen(port: &str) -> Result<TcpListener, String> {
    let port: u16 = port.parse().map_err(|why| step("read a port", why))?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map_err(|why| step(&format!("listen on 127.0.0.1:{port}"), why))
}

fn step(what: &str, why: impl Display) -> String {
    format!("{what}: {why}")
}

fn say(answer: &OwnedFd, words: &[u8], rights: &[ControlMessage<'_>]) -> io::Result<()> {
    let flags = MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(answer.as_raw_fd(), &[IoSlice::new(words)], rights, flags, None)?;
    Ok(())
}

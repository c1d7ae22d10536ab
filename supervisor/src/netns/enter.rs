//! The helper: a straight line from start to end, in the container's network namespace.

use std::fmt::Display;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use caps::CapSet;
use nix::sched::{CloneFlags, setns};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use terok_shared::descriptor_packet;
use terok_shared::sys::{descriptors, user_namespace};

use super::{ANSWER_FD, MAX_LISTENERS, NAMESPACE_FD};

/// Enters, binds the ports given as `arguments`, and answers with the sockets or with words.
pub(crate) fn enter(arguments: &[String]) -> io::Result<()> {
    descriptors::close_from(ANSWER_FD + 1)?;
    let namespace = descriptors::take(NAMESPACE_FD)?;
    let answer = descriptors::take(ANSWER_FD)?;
    match bound(&namespace, arguments) {
        Ok(sockets) => {
            let sockets: Vec<BorrowedFd<'_>> = sockets.iter().map(AsFd::as_fd).collect();
            descriptor_packet::send(&answer, b"bound", &sockets)
        }
        Err(why) => descriptor_packet::send(&answer, why.as_bytes(), &[]),
    }
}

fn bound(namespace: &OwnedFd, arguments: &[String]) -> Result<Vec<TcpListener>, String> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(|why| step("arm the death signal", why))?;
    prctl::set_no_new_privs().map_err(|why| step("set no_new_privs", why))?;
    match setns(namespace, CloneFlags::CLONE_NEWNET) {
        // As a unit we are outside the operator's namespace of containers, which it belongs to.
        Err(nix::Error::EPERM) => enter_by_its_owner(namespace)?,
        entered => entered.map_err(|why| step("enter", why))?,
    }
    for set in [CapSet::Bounding, CapSet::Permitted, CapSet::Inheritable] {
        caps::clear(None, set).map_err(|why| step("drop capabilities", why))?;
    }
    arguments.iter().take(MAX_LISTENERS).map(|port| listen(port)).collect()
}

/// The operator may enter what the operator made, and has every right inside (user_namespaces(7)).
fn enter_by_its_owner(namespace: &OwnedFd) -> Result<(), String> {
    let owner = user_namespace::owner_of(namespace.as_fd())
        .map_err(|why| step("find the user namespace it belongs to", why))?;
    setns(owner, CloneFlags::CLONE_NEWUSER)
        .map_err(|why| step("enter the user namespace it belongs to", why))?;
    setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|why| step("enter", why))
}

fn listen(port: &str) -> Result<TcpListener, String> {
    let port: u16 = port.parse().map_err(|why| step("read a port", why))?;
    TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .map_err(|why| step(&format!("listen on 127.0.0.1:{port}"), why))
}

fn step(what: &str, why: impl Display) -> String {
    format!("{what}: {why}")
}

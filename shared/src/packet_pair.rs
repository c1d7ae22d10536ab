//! The socket pair between the keeper and a service that asks it: made by the parent, spoken on
//! by the two ends.

use std::io;
use std::os::fd::OwnedFd;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt};

/// Bound of one packet in bytes: an SSH sign request of 256 KiB and its frame.
pub const MAX_PACKET: usize = 256 * 1024 + 4096;

/// Two connected ends of type `SOCK_SEQPACKET` (unix(7)): a packet is a message, whole or not at
/// all, so a process that dies in the middle leaves nothing half-said to its successor on the
/// same end.
pub fn new() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let ends = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags)?;
    for end in [&ends.0, &ends.1] {
        // The default allows packets of about 200 KiB; the kernel doubles what it is asked for.
        setsockopt(end, sockopt::SndBuf, &MAX_PACKET)?;
    }
    Ok(ends)
}

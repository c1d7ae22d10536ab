//! Words that carry descriptors along (SCM_RIGHTS, unix(7)), between two processes of ours.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use crate::sys::descriptors;

/// Descriptors in one packet at most.
pub const MAX_DESCRIPTORS: usize = 4;

/// Sends `words` and copies of `descriptors`. A peer that is gone is an error, not a signal.
pub fn send(socket: impl AsFd, words: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let rights = if numbers.is_empty() { &[] } else { &rights[..] };
    let parts = [IoSlice::new(words)];
    let socket = socket.as_fd().as_raw_fd();
    sendmsg::<()>(socket, &parts, rights, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}

/// Receives one packet, or what a stream has: how much of `words` it filled, and its descriptors, which nothing that we
/// execute inherits. No words and no descriptors is a peer that has closed.
pub fn receive(socket: impl AsFd, words: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = nix::cmsg_space!([RawFd; MAX_DESCRIPTORS]);
    let mut parts = [IoSliceMut::new(words)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let packet = recvmsg::<()>(socket.as_fd().as_raw_fd(), &mut parts, Some(&mut space), flags)?;
    let mut received = Vec::new();
    for message in packet.cmsgs()? {
        if let ControlMessageOwned::ScmRights(numbers) = message {
            for number in numbers {
                received.push(descriptors::take(number)?);
            }
        }
    }
    Ok((packet.bytes, received))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};

    use super::*;
    use crate::packet_pair;

    #[test]
    fn words_and_descriptors_arrive_together() {
        let (ours, theirs) = packet_pair::new().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        send(&ours, b"hello", &[writer.as_fd()]).unwrap();
        drop(writer);
        let mut words = [0; 16];
        let (length, mut descriptors) = receive(&theirs, &mut words).unwrap();
        assert_eq!((&words[..length], descriptors.len()), (&b"hello"[..], 1));
        File::from(descriptors.remove(0)).write_all(b"through").unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
    }

    #[test]
    fn a_closed_peer_has_nothing_to_say() {
        let (ours, theirs) = packet_pair::new().unwrap();
        send(&ours, b"last", &[]).unwrap();
        drop(ours);
        assert_eq!(receive(&theirs, &mut [0; 16]).unwrap().0, 4);
        let (length, descriptors) = receive(&theirs, &mut [0; 16]).unwrap();
        assert!(length == 0 && descriptors.is_empty());
    }
}

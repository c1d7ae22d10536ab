//! One end of a packet pair: sends and receives whole messages, and never waits.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{self, MsgFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;
use terok_shared::packet_pair::MAX_PACKET;
use zeroize::{Zeroize, Zeroizing};

#[derive(Debug)]
pub enum LineError {
    /// The other end is gone for good.
    Closed,
    /// Nothing to read, or no room to write, right now.
    WouldBlock,
    /// A packet that is no message of this kind.
    Malformed,
    TooLarge(usize),
    Io(io::Error),
}

/// Sends and receives messages without waiting; readiness is the caller's to await.
#[derive(Debug)]
pub struct Line {
    socket: OwnedFd,
}

impl Line {
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Sends one message; `WouldBlock` when the other side is not reading.
    pub fn send<M: Serialize>(&self, message: &M) -> Result<(), LineError> {
        let bytes = Zeroizing::new(postcard::to_stdvec(message).map_err(|_| LineError::Malformed)?);
        send(self.as_fd(), &bytes)
    }

    /// Receives one message; `WouldBlock` when none is there.
    pub fn receive<M: DeserializeOwned>(&self) -> Result<M, LineError> {
        self.receive_in(&mut Packet::default())
    }

    /// The same in room that was made once.
    pub fn receive_in<M: DeserializeOwned>(&self, packet: &mut Packet) -> Result<M, LineError> {
        receive(self.as_fd(), packet)
    }

    /// Throws one waiting packet away unread.
    pub fn discard(&self) -> Result<(), LineError> {
        discard(self.as_fd())
    }
}

/// Room for one packet of any size, wiped after each. Pages that no packet reached cost nothing.
pub struct Packet(Vec<u8>);

impl Default for Packet {
    fn default() -> Self {
        Self(vec![0; MAX_PACKET])
    }
}

/// Sends one packet without waiting.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), LineError> {
    if bytes.len() > MAX_PACKET {
        return Err(LineError::TooLarge(bytes.len()));
    }
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    socket::send(socket.as_raw_fd(), bytes, flags)?;
    Ok(())
}

/// Receives one message without waiting.
pub(crate) fn receive<M: DeserializeOwned>(
    socket: BorrowedFd<'_>,
    Packet(room): &mut Packet,
) -> Result<M, LineError> {
    // MSG_TRUNC: the packet's own length, also when the room is too small for it.
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_TRUNC;
    let length = socket::recv(socket.as_raw_fd(), room, flags)?;
    let Some(bytes) = room.get_mut(..length) else {
        room.zeroize();
        return Err(LineError::TooLarge(length));
    };
    let message = match length {
        // No message is empty, so nothing read is the end (recv(2)).
        0 => Err(LineError::Closed),
        _ => postcard::from_bytes(bytes).map_err(|_| LineError::Malformed),
    };
    bytes.zeroize();
    message
}

/// Takes one packet off the line; reading a single byte of a packet throws away the rest.
fn discard(socket: BorrowedFd<'_>) -> Result<(), LineError> {
    match socket::recv(socket.as_raw_fd(), &mut [0], MsgFlags::MSG_DONTWAIT)? {
        0 => Err(LineError::Closed),
        _ => Ok(()),
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<nix::Error> for LineError {
    fn from(errno: nix::Error) -> Self {
        match errno {
            nix::Error::EAGAIN => Self::WouldBlock,
            nix::Error::EPIPE | nix::Error::ECONNRESET => Self::Closed,
            errno => Self::Io(errno.into()),
        }
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => write!(f, "the other end is closed"),
            Self::WouldBlock => write!(f, "the other end is not keeping up"),
            Self::Malformed => write!(f, "malformed message"),
            Self::TooLarge(bytes) => {
                write!(f, "message of {bytes} bytes or more, at most {MAX_PACKET}")
            }
            Self::Io(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for LineError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Question, Request};
    use crate::signing::{Bind, Route, ToSign};
    use terok_shared::packet_pair;
    use terok_shared::secret::Secret;

    fn lines() -> (Line, Line) {
        let (keeper, asker) = packet_pair::new().unwrap();
        (Line::new(keeper), Line::new(asker))
    }

    #[test]
    fn the_largest_sign_request_fits_into_one_packet() {
        let (keeper, asker) = lines();
        let token = Secret::from("t".repeat(40));
        let data = vec![7; 256 * 1024];
        let bind = Bind {
            host_key: vec![2; 1100],
            session_id: vec![3; 128],
            signature: vec![4; 1100],
            is_forwarding: false,
        };
        let route = Route { bind: Some(bind), is_forwarded: true };
        let to_sign = ToSign { public_blob: vec![1; 1100], data, flags: 4, route };
        asker.send(&Request { id: 1, question: Question::Sign { token, to_sign } }).unwrap();
        let Question::Sign { to_sign, .. } = keeper.receive::<Request>().unwrap().question else {
            panic!("another question arrived")
        };
        assert_eq!(to_sign.data.len(), 256 * 1024);
    }

    #[test]
    fn garbage_is_malformed_and_the_next_message_is_read() {
        let (keeper, asker) = lines();
        send(asker.as_fd(), &[0xff; 40]).unwrap();
        asker
            .send(&Request {
                id: 2,
                question: Question::Grant { token: Secret::from(String::new()) },
            })
            .unwrap();
        assert!(matches!(keeper.receive::<Request>(), Err(LineError::Malformed)));
        assert_eq!(keeper.receive::<Request>().unwrap().id, 2);
    }

    #[test]
    fn a_side_that_never_reads_does_not_stop_the_sender() {
        let (keeper, _asker) = lines();
        let stuck = (0..10_000).map(|_| send(keeper.as_fd(), &[0; 4096])).find(Result::is_err);
        assert!(matches!(stuck, Some(Err(LineError::WouldBlock))));
    }

    #[test]
    fn a_closed_end_is_told_apart_from_silence() {
        let (keeper, asker) = lines();
        assert!(matches!(keeper.receive::<Request>(), Err(LineError::WouldBlock)));
        drop(asker);
        assert!(matches!(keeper.receive::<Request>(), Err(LineError::Closed)));
    }
}

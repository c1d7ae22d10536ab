//! The session's message bus, as far as a caller of methods needs it (D-Bus specification).
//!
//! In come a socket and calls; out come replies. Four calls do not pay for a D-Bus library: those
//! start threads, and a service must be single-threaded when it confines itself.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use zeroize::Zeroizing;

use super::marshal::{ByteOrder, Malformed, Message, Reader, Writer};
use crate::unlock::local_socket::LocalSocket;

/// Longest message that is read, in bytes.
const MAX_MESSAGE: usize = 64 * 1024;

/// Longest line of the authentication.
const MAX_LINE: usize = 512;

const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;

/// A service that does not run is not started for us.
const NO_AUTO_START: u8 = 2;

/// The fixed part of a header, in bytes: up to and with the length of the fields.
const FIXED: usize = 16;

pub(super) struct Bus {
    socket: LocalSocket,
    limit: Duration,
    serial: u32,
}

pub(super) struct Call<'a> {
    pub(super) destination: &'a str,
    pub(super) path: &'a str,
    pub(super) interface: &'a str,
    pub(super) member: &'a str,
    pub(super) signature: &'a str,
    pub(super) body: &'a [u8],
}

/// The fields of a header that concern a caller.
#[derive(Default)]
struct Fields {
    reply_to: u32,
    error: String,
}

impl Bus {
    /// Connects and introduces itself. `limit` is for this and all calls together.
    pub(super) fn connect(path: &Path, limit: Duration) -> Result<Self, BusError> {
        let socket = LocalSocket::connect(path, limit).map_err(|why| BusError::io(why, limit))?;
        let mut bus = Self { socket, limit, serial: 0 };
        bus.authenticate()?;
        bus.call(&Call {
            destination: "org.freedesktop.DBus",
            path: "/org/freedesktop/DBus",
            interface: "org.freedesktop.DBus",
            member: "Hello",
            signature: "",
            body: &[],
        })?;
        Ok(bus)
    }

    /// EXTERNAL without saying who we are: inside a user namespace we do not know our own uid as
    /// the bus sees it, and the kernel tells it anyway.
    fn authenticate(&mut self) -> Result<(), BusError> {
        self.send(b"\0AUTH EXTERNAL\r\n")?;
        self.expect("DATA")?;
        self.send(b"DATA\r\n")?;
        self.expect("OK ")?;
        self.send(b"BEGIN\r\n")
    }

    fn expect(&mut self, begin: &str) -> Result<(), BusError> {
        let mut line = Vec::with_capacity(MAX_LINE);
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.receive(&mut byte)?;
            line.extend_from_slice(&byte);
            if line.len() > MAX_LINE {
                return Err(BusError::NotAdmitted);
            }
        }
        if line.starts_with(begin.as_bytes()) { Ok(()) } else { Err(BusError::NotAdmitted) }
    }

    /// Sends a call and waits for its reply; signals in between are passed over.
    pub(super) fn call(&mut self, call: &Call<'_>) -> Result<Message, BusError> {
        self.serial += 1;
        let message = message(call, self.serial);
        self.send(&message)?;
        loop {
            let (kind, fields, message) = self.read_message()?;
            match kind {
                METHOD_RETURN if fields.reply_to == self.serial => return Ok(message),
                ERROR if fields.reply_to == self.serial => {
                    return Err(BusError::Refused { error: fields.error });
                }
                _ => {}
            }
        }
    }

    fn read_message(&mut self) -> Result<(u8, Fields, Message), BusError> {
        let mut fixed = [0; FIXED];
        self.receive(&mut fixed)?;
        let order = ByteOrder::parse(fixed[0])?;
        let number =
            |at: usize| order.number([fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]]);
        let (body, fields) = (number(4) as usize, number(12) as usize);
        if body > MAX_MESSAGE || fields > MAX_MESSAGE {
            return Err(BusError::TooLong);
        }
        let body_at = (FIXED + fields).next_multiple_of(8);
        let mut bytes = Zeroizing::new(vec![0; body_at + body]);
        bytes[..FIXED].copy_from_slice(&fixed);
        self.receive(&mut bytes[FIXED..])?;
        let fields = parse_fields(&bytes[..FIXED + fields], order)?;
        Ok((fixed[1], fields, Message { bytes, order, body_at }))
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), BusError> {
        self.socket.write_all(bytes).map_err(|why| BusError::io(why, self.limit))
    }

    fn receive(&mut self, bytes: &mut [u8]) -> Result<(), BusError> {
        self.socket.read_exact(bytes).map_err(|why| BusError::io(why, self.limit))
    }
}

fn message(call: &Call<'_>, serial: u32) -> Vec<u8> {
    let mut message = Writer::default();
    for byte in [b'l', METHOD_CALL, NO_AUTO_START, 1] {
        message.byte(byte);
    }
    message.number(u32::try_from(call.body.len()).expect("our messages are short"));
    message.number(serial);
    message.array(8, |fields| {
        for (code, kind, value) in [
            (1, "o", call.path),
            (2, "s", call.interface),
            (3, "s", call.member),
            (6, "s", call.destination),
        ] {
            fields.align(8);
            fields.byte(code);
            fields.signature(kind);
            fields.string(value);
        }
        if !call.signature.is_empty() {
            fields.align(8);
            fields.byte(8);
            fields.signature("g");
            fields.signature(call.signature);
        }
    });
    message.align(8);
    message.raw(call.body);
    message.bytes().to_vec()
}

/// The array of `(code, variant)` that ends the header.
fn parse_fields(header: &[u8], order: ByteOrder) -> Result<Fields, Malformed> {
    let mut reader = Reader::new(header, order);
    for _ in 0..FIXED {
        reader.byte()?;
    }
    let mut found = Fields::default();
    while reader.place() < header.len() {
        reader.align(8)?;
        let code = reader.byte()?;
        match (code, reader.signature()?) {
            (4, "s") => found.error = reader.string()?.chars().take(100).collect(),
            (5, "u") => found.reply_to = reader.number()?,
            (_, "s" | "o") => drop(reader.string()?),
            (_, "u") => drop(reader.number()?),
            (_, "g") => drop(reader.signature()?),
            _ => return Err(Malformed),
        }
    }
    Ok(found)
}

/// Why a call got no reply.
#[derive(Debug)]
pub(super) enum BusError {
    Io(io::Error),
    TimedOut {
        limit: Duration,
    },
    NotAdmitted,
    /// The name of a D-Bus error.
    Refused {
        error: String,
    },
    TooLong,
    Malformed(Malformed),
}

impl BusError {
    fn io(why: io::Error, limit: Duration) -> Self {
        match why.kind() {
            io::ErrorKind::TimedOut => Self::TimedOut { limit },
            _ => Self::Io(why),
        }
    }
}

impl From<Malformed> for BusError {
    fn from(why: Malformed) -> Self {
        Self::Malformed(why)
    }
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(why) => write!(f, "session bus: {why}"),
            Self::TimedOut { limit } => write!(f, "no answer within {} s", limit.as_secs()),
            Self::NotAdmitted => f.write_str("the session bus does not admit this process"),
            Self::Refused { error } => write!(f, "refused: {}", error.escape_debug()),
            Self::TooLong => write!(f, "session bus: a message of more than {MAX_MESSAGE} bytes"),
            Self::Malformed(why) => write!(f, "session bus: {why}"),
        }
    }
}

//! One call of systemd's `io.systemd.Credentials` interface (varlink.org): a JSON object and a NUL
//! each way, over a unix socket.
//!
//! In come a sealed credential and whose it is; out comes the passphrase. systemd reads from the
//! socket who asks and refuses a uid that is not ours.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use terok_shared::secret::Secret;
use zeroize::Zeroizing;

use crate::unlock::local_socket::LocalSocket;
use crate::unlock::passphrase_from;

pub(super) const SOCKET: &str = "/run/systemd/io.systemd.Credentials";

const METHOD: &str = "io.systemd.Credentials.Decrypt";

/// A TPM takes its time.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Longest reply that is read, in bytes.
const MAX_REPLY: usize = 64 * 1024;

pub(super) fn decrypt(
    socket: &Path,
    name: &str,
    sealed: &[u8],
    uid: u32,
) -> Result<Secret<String>, VarlinkError> {
    decrypt_within(TIME_LIMIT, socket, name, sealed, uid)
}

pub(super) fn decrypt_within(
    limit: Duration,
    socket: &Path,
    name: &str,
    sealed: &[u8],
    uid: u32,
) -> Result<Secret<String>, VarlinkError> {
    let failed = |why| match io::Error::kind(&why) {
        io::ErrorKind::TimedOut => VarlinkError::TimedOut { limit },
        _ => VarlinkError::Io(why),
    };
    let call = json!({
        "method": METHOD,
        "parameters": { "name": name, "blob": as_base64(sealed), "scope": "user", "uid": uid },
    });
    let mut peer = LocalSocket::connect(socket, limit).map_err(failed)?;
    peer.write_all(format!("{call}\0").as_bytes()).map_err(failed)?;
    let reply = read_reply(&mut peer).map_err(failed)?;
    passphrase_in(&reply)
}

/// systemd-creds writes base64 with line breaks already; the method wants it without.
fn as_base64(sealed: &[u8]) -> String {
    let text: Vec<u8> = sealed.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    match (BASE64_STANDARD.decode(&text), String::from_utf8(text)) {
        (Ok(_), Ok(text)) => text,
        _ => BASE64_STANDARD.encode(sealed),
    }
}

/// Everything up to the NUL.
fn read_reply(peer: &mut impl Read) -> io::Result<Secret<Vec<u8>>> {
    // Full size from the start, so that growing leaves no copy of a secret behind.
    let mut reply = Zeroizing::new(vec![0; MAX_REPLY]);
    let mut filled = 0;
    loop {
        let count = match peer.read(&mut reply[filled..]) {
            Err(why) if why.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        let end = reply[filled..filled + count].iter().position(|byte| *byte == 0);
        if let Some(end) = end {
            return Ok(reply[..filled + end].to_vec().into());
        }
        filled += count;
        if filled == MAX_REPLY {
            return Err(io::Error::other(format!("it replied with more than {MAX_REPLY} bytes")));
        }
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

fn passphrase_in(reply: &Secret<Vec<u8>>) -> Result<Secret<String>, VarlinkError> {
    let mut reply: Value =
        serde_json::from_slice(reply.expose()).map_err(|_| VarlinkError::Malformed)?;
    if let Some(error) = reply.get("error").and_then(Value::as_str).filter(|e| !e.is_empty()) {
        let error = error.chars().filter(|c| c.is_ascii_graphic()).take(100).collect();
        return Err(VarlinkError::Refused { error });
    }
    let Some(Value::String(data)) = reply.pointer_mut("/parameters/data") else {
        return Err(VarlinkError::Malformed);
    };
    let data = Zeroizing::new(std::mem::take(data));
    let plain = BASE64_STANDARD.decode(data.as_bytes()).map_err(|_| VarlinkError::Malformed)?;
    let plain = Secret::from(plain);
    // As the other reader of these files does it: the line end is not sealed on purpose.
    let line_end = plain.expose().iter().rev().take_while(|byte| **byte == b'\n').count();
    let line = plain.expose()[..plain.expose().len() - line_end].to_vec();
    passphrase_from(line.into()).map_err(VarlinkError::Unusable)
}

/// Why systemd gave no passphrase.
#[derive(Debug)]
pub(super) enum VarlinkError {
    Io(io::Error),
    TimedOut {
        limit: Duration,
    },
    /// systemd's own name for it, such as `io.systemd.Credentials.NameMismatch`.
    Refused {
        error: String,
    },
    Malformed,
    Unusable(&'static str),
}

impl fmt::Display for VarlinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{METHOD} ")?;
        match self {
            Self::Io(why) => write!(f, "could not be called: {why}"),
            Self::TimedOut { limit } => write!(f, "did not answer within {} s", limit.as_secs()),
            Self::Refused { error } => write!(f, "answered {error}"),
            Self::Malformed => f.write_str("answered what is no reply"),
            Self::Unusable(what) => write!(f, "decrypted what {what}"),
        }
    }
}

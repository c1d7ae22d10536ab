//! A client of the signer that speaks its bytes: the handshake, then the SSH agent protocol
//! (draft-ietf-sshm-ssh-agent).

use std::io::{self, Read, Write};

use terok_shared::endpoint::Endpoint;

use crate::stream::Stream;

const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;

pub struct Agent {
    stream: Stream,
}

/// The handshake: four bytes of length, big-endian, and the token.
pub fn handshake(token: &str) -> Vec<u8> {
    frame(token.as_bytes())
}

/// A frame of the agent protocol, which has the same form.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

impl Agent {
    pub fn connect(endpoint: &Endpoint, token: &str) -> io::Result<Self> {
        let mut stream = Stream::connect(endpoint)?;
        stream.write_all(&handshake(token))?;
        Ok(Self { stream })
    }

    pub fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// Sends one message without waiting for its answer.
    pub fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        self.stream.write_all(&frame(payload))
    }

    /// The next answer's payload.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut payload = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut payload)?;
        Ok(payload)
    }

    pub fn ask_for_identities(&mut self) -> io::Result<()> {
        self.send(&[REQUEST_IDENTITIES])
    }

    /// How many keys the token may use; an error also when the agent says failure.
    pub fn identities(&mut self) -> io::Result<u32> {
        self.ask_for_identities()?;
        count(&self.receive()?)
    }
}

/// The number of keys in an answer to [`Agent::ask_for_identities`].
pub fn count(answer: &[u8]) -> io::Result<u32> {
    match answer.split_first() {
        Some((&IDENTITIES_ANSWER, rest)) if rest.len() >= 4 => {
            Ok(u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]))
        }
        _ => Err(io::Error::other(format!("answered with message {:?}", answer.first()))),
    }
}

//! An agent to be asked: where it listens, and what it wants to hear first.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use terok_shared::process::Process;

pub(crate) struct Contender {
    pub(crate) socket: PathBuf,
    /// The handshake, where there is one.
    pub(crate) first: Vec<u8>,
    /// Everybody who works for a signature.
    pub(crate) processes: Vec<Process>,
}

/// One connection, read and written without a layer in between.
pub(crate) struct Client {
    stream: UnixStream,
    answer: Vec<u8>,
}

impl Contender {
    /// Processor time of all of them so far, from the first field of /proc/PID/schedstat.
    pub(crate) fn processor_time(&self) -> Duration {
        let of = |process: &Process| {
            let text = fs::read_to_string(format!("/proc/{}/schedstat", process.pid())).ok()?;
            Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
        };
        self.processes.iter().filter_map(of).sum()
    }

    /// A connection, and the first request sent with what has to come before it.
    pub(crate) fn connect(&self) -> io::Result<Client> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(&self.first)?;
        Ok(Client { stream, answer: vec![0; 4096] })
    }
}

impl Client {
    /// Sends a framed sign request and waits for its signature.
    pub(crate) fn sign(&mut self, request: &[u8]) -> io::Result<()> {
        self.stream.write_all(request)?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.answer[filled..])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += read;
            if let Some((length, rest)) = self.answer[..filled].split_first_chunk::<4>()
                && rest.len() >= u32::from_be_bytes(*length) as usize
            {
                // SSH_AGENT_SIGN_RESPONSE; anything else would be measured for nothing.
                return match rest.first() {
                    Some(14) => Ok(()),
                    other => Err(io::Error::other(format!("answered with {other:?}"))),
                };
            }
        }
    }
}

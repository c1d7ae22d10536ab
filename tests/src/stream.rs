//! A client's connection to a service, whichever kind of socket it listens on.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use terok_shared::endpoint::Endpoint;

/// No answer within this time fails the test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    pub fn connect(endpoint: &Endpoint) -> io::Result<Self> {
        let stream = match endpoint {
            Endpoint::Unix(path) => Self::Unix(UnixStream::connect(path)?),
            Endpoint::Loopback(port) => {
                Self::Tcp(TcpStream::connect((Ipv4Addr::LOCALHOST, *port))?)
            }
        };
        stream.give_up_after(Some(PATIENCE))?;
        Ok(stream)
    }

    pub fn give_up_after(&self, limit: Option<Duration>) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.set_read_timeout(limit),
            Self::Tcp(stream) => stream.set_read_timeout(limit),
        }
    }

    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Unix(stream) => Self::Unix(stream.try_clone()?),
            Self::Tcp(stream) => Self::Tcp(stream.try_clone()?),
        })
    }

    pub fn end_of_input(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

/// Ports of the loopback that nobody uses, found by binding them all at once.
///
/// Below the range from which the kernel hands out ports, so that no other test takes one between
/// now and their use.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let bound: [TcpListener; N] = std::array::from_fn(|_| {
        loop {
            let mut bits = [0; 2];
            std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bits).unwrap();
            let port = 10_000 + u16::from_ne_bytes(bits) % 20_000;
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                return listener;
            }
        }
    });
    bound.map(|listener| listener.local_addr().unwrap().port())
}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(into),
            Self::Tcp(stream) => stream.read(into),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

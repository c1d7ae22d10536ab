//! One proxy to measure, and how to reach it.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::process::Process;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Unix,
    Tcp,
}

/// Reached on a socket file and on a loopback port, which may be the doors of two processes.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) unix: (PathBuf, Process),
    pub(crate) tcp: (SocketAddr, Process),
}

pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

impl Contender {
    /// Waits until both doors are open.
    pub(crate) fn opened(self) -> Self {
        for _ in 0..500 {
            let open =
                UnixStream::connect(&self.unix.0).is_ok() && TcpStream::connect(self.tcp.0).is_ok();
            if open {
                return self;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{} does not open its doors", self.name);
    }

    pub(crate) async fn connect(&self, door: Door) -> io::Result<Box<dyn Wire>> {
        Ok(match door {
            Door::Unix => Box::new(tokio::net::UnixStream::connect(&self.unix.0).await?),
            Door::Tcp => {
                let stream = tokio::net::TcpStream::connect(self.tcp.0).await?;
                stream.set_nodelay(true)?;
                Box::new(stream)
            }
        })
    }

    pub(crate) fn process(&self, door: Door) -> Process {
        match door {
            Door::Unix => self.unix.1,
            Door::Tcp => self.tcp.1,
        }
    }

    /// Of the process behind the socket file.
    pub(crate) fn rss_kb(&self) -> u64 {
        self.unix.1.rss_kb()
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        self.unix.1.end();
        self.tcp.1.end();
    }
}

//! What runs inside a container's image in socket mode: a listener where stock clients look, every
//! connection carried on to a service, after the words that service wants first.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

use terok_shared::endpoint::Endpoint;

use crate::agent::handshake;
use crate::stream::Stream;

/// A plain agent socket at `path`, in front of the signer.
pub fn agent(path: &Path, signer: Endpoint, token: &str) {
    let listener = UnixListener::bind(path).unwrap();
    let first = handshake(token);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            carry(Stream::Unix(client), &signer, &first);
        }
    });
}

/// A port of the loopback in front of a service.
pub fn port(service: Endpoint) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            carry(Stream::Tcp(client), &service, &[]);
        }
    });
    port
}

/// A client whose service cannot be reached finds its connection closed.
fn carry(client: Stream, service: &Endpoint, first: &[u8]) {
    let Ok(mut stream) = Stream::connect(service) else { return };
    let pairs = stream
        .write_all(first)
        .and_then(|()| stream.give_up_after(None))
        .and_then(|()| Ok(((client.try_clone()?, stream.try_clone()?), (stream, client))));
    let Ok((up, down)) = pairs else { return };
    for (from, to) in [up, down] {
        thread::spawn(move || copy(from, to));
    }
}

fn copy(mut from: Stream, mut to: Stream) -> io::Result<()> {
    let mut chunk = [0; 16 * 1024];
    loop {
        match from.read(&mut chunk)? {
            0 => return to.end_of_input(),
            n => to.write_all(&chunk[..n])?,
        }
    }
}

//! A plain agent socket for clients beside the host: presents the phantom token, then copies.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

pub(super) fn start(socket: &Path, port: &str, token: &str) -> io::Result<()> {
    let port: u16 = port.parse().map_err(io::Error::other)?;
    let token = token.to_owned();
    let listener = UnixListener::bind(socket)?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            // A client whose connection breaks is told by its end.
            let _ = connect(client, port, &token);
        }
    });
    Ok(())
}

fn connect(client: UnixStream, port: u16, token: &str) -> io::Result<()> {
    use std::io::Write;
    let mut signer = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    signer.write_all(&(token.len() as u32).to_be_bytes())?;
    signer.write_all(token.as_bytes())?;
    let (mut from_client, mut to_signer) = (client.try_clone()?, signer.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_signer);
        let _ = to_signer.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let (mut from_signer, mut to_client) = (signer, client);
        let _ = io::copy(&mut from_signer, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    Ok(())
}

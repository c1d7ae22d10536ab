//! Binding a service's listening socket.

use std::fmt;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

use terok_shared::endpoint::Endpoint;
use terok_shared::socket_file::{self, SocketFileError};

#[derive(Debug)]
pub(crate) enum ListenError {
    Directory { path: String, why: io::Error },
    SocketFile(SocketFileError),
    Bind { endpoint: Endpoint, why: io::Error },
}

/// Binds and listens. Directories on the way to a socket are made 0700, the socket is 0600.
pub(crate) fn bind(endpoint: &Endpoint) -> Result<OwnedFd, ListenError> {
    let failed = |why| ListenError::Bind { endpoint: endpoint.clone(), why };
    match endpoint {
        Endpoint::Loopback(port) => {
            Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).map_err(failed)?.into())
        }
        Endpoint::Unix(path) => {
            make_directory(path.parent().unwrap_or(Path::new("/")))?;
            socket_file::clear(path).map_err(ListenError::SocketFile)?;
            let listener = UnixListener::bind(path).map_err(failed)?;
            fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
            Ok(listener.into())
        }
    }
}

fn make_directory(path: &Path) -> Result<(), ListenError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|why| ListenError::Directory { path: path.display().to_string(), why })
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { path, why } => write!(f, "make directory {path}: {why}"),
            Self::SocketFile(why) => why.fmt(f),
            Self::Bind { endpoint: Endpoint::Loopback(port), why }
                if why.kind() == io::ErrorKind::AddrInUse =>
            {
                write!(
                    f,
                    "listen on 127.0.0.1:{port}: another process has this port\n\
                     hint: prepare the container again to get free ports"
                )
            }
            Self::Bind { endpoint, why } => write!(f, "listen on {endpoint}: {why}"),
        }
    }
}

impl std::error::Error for ListenError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_private_and_its_directories_too() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault/vault.sock");
        let _listener = bind(&Endpoint::Unix(path.clone())).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[test]
    fn a_taken_port_is_named_with_a_way_out() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = holder.local_addr().unwrap().port();
        let message = bind(&Endpoint::Loopback(port)).unwrap_err().to_string();
        assert!(message.contains(&port.to_string()) && message.contains("hint:"), "{message}");
    }

    #[test]
    fn a_living_socket_is_not_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::Unix(dir.path().join("s.sock"));
        let first = bind(&endpoint).unwrap();
        assert!(matches!(bind(&endpoint), Err(ListenError::SocketFile(_))));
        drop(first);
        assert!(bind(&endpoint).is_ok());
    }
}

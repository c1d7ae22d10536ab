//! Where a service listens: a unix socket in the container's socket directory, or a port of the
//! host's loopback.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::layout;
use crate::service::Service;
use crate::sidecar::{Ipc, Sidecar};

/// `sun_path` of unix(7) holds 108 bytes, one of them the terminating NUL.
const MAX_SOCKET_PATH: usize = 107;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Unix(PathBuf),
    /// A port of 127.0.0.1.
    Loopback(u16),
}

#[derive(Debug, PartialEq, Eq)]
pub enum EndpointError {
    /// TCP mode without a port for this service.
    MissingPort {
        service: Service,
        key: &'static str,
    },
    SocketPathTooLong {
        path: PathBuf,
        bytes: usize,
    },
}

/// Where `service` of this container listens; `None` for a service that has no clients of its own
/// (the keeper) or is not wired (a gate without its keys).
pub fn of(sidecar: &Sidecar, service: Service) -> Option<Result<Endpoint, EndpointError>> {
    let (socket, key, port) = match (service, &sidecar.ipc) {
        (Service::Keeper, _) => return None,
        (Service::Gate, _) if sidecar.gate.is_none() => return None,
        (Service::Broker, ipc) => (layout::BROKER_SOCKET, "tcp_port", ipc.broker_port()),
        (Service::Signer, ipc) => (layout::SIGNER_SOCKET, "ssh_signer_port", ipc.signer_port()),
        (Service::Gate, ipc) => (layout::GATE_SOCKET, "gate_port", ipc.gate_port()),
    };
    Some(match (&sidecar.ipc, port) {
        (Ipc::Tcp(_), Some(port)) => Ok(Endpoint::Loopback(port)),
        (Ipc::Tcp(_), None) => Err(EndpointError::MissingPort { service, key }),
        (Ipc::Socket, _) => fitting(
            layout::socket_directory(&sidecar.runtime_dir, &sidecar.container_name).join(socket),
        )
        .map(Endpoint::Unix),
    })
}

/// Where the agent socket without a handshake lies, in either mode.
pub fn agent(sidecar: &Sidecar) -> Result<PathBuf, EndpointError> {
    let directory = layout::socket_directory(&sidecar.runtime_dir, &sidecar.container_name);
    fitting(directory.join(layout::AGENT_SOCKET))
}

fn fitting(path: PathBuf) -> Result<PathBuf, EndpointError> {
    let bytes = path.as_os_str().as_bytes().len();
    if bytes > MAX_SOCKET_PATH {
        return Err(EndpointError::SocketPathTooLong { path, bytes });
    }
    Ok(path)
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Loopback(port) => write!(f, "127.0.0.1:{port}"),
        }
    }
}

impl fmt::Display for EndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingPort { service, key } => {
                write!(f, "no port for the {service}: `ipc_mode` is `tcp` but `{key}` is missing")
            }
            Self::SocketPathTooLong { path, bytes } => write!(
                f,
                "socket path {} has {bytes} bytes, at most {MAX_SOCKET_PATH}\n\
                 hint: use a shorter container name or runtime directory, or `ipc_mode` `tcp`",
                path.display()
            ),
        }
    }
}

impl std::error::Error for EndpointError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn sidecar(json: &str) -> Sidecar {
        Sidecar::parse(Path::new("/s/sidecar/web.json"), json.as_bytes()).unwrap()
    }

    #[test]
    fn socket_mode_puts_each_service_below_the_containers_directory() {
        let web = sidecar(r#"{"container_name":"web","db_path":"/v/c.db","runtime_dir":"/run/t"}"#);
        assert_eq!(
            of(&web, Service::Broker),
            Some(Ok(Endpoint::Unix("/run/t/run/web/vault/vault.sock".into())))
        );
        assert_eq!(of(&web, Service::Keeper), None);
        assert_eq!(of(&web, Service::Gate), None);
    }

    #[test]
    fn a_missing_port_names_the_key() {
        let web = sidecar(
            r#"{"container_name":"web","ipc_mode":"tcp","db_path":"/v/c.db","runtime_dir":"/run/t",
                "tcp_port":4000}"#,
        );
        assert_eq!(of(&web, Service::Broker), Some(Ok(Endpoint::Loopback(4000))));
        let missing = of(&web, Service::Signer).unwrap().unwrap_err().to_string();
        assert!(missing.contains("`ssh_signer_port`"), "{missing}");
    }

    #[test]
    fn a_socket_path_of_107_bytes_passes_and_108_is_refused() {
        let fixed = "/run/".len() + "/run/web/signer/ssh-agent.sock".len();
        for (length, fits) in [(107, true), (108, false)] {
            let runtime_dir = format!("/run/{}", "r".repeat(length - fixed));
            let json = format!(
                r#"{{"container_name":"web","db_path":"/v/c.db","runtime_dir":"{runtime_dir}"}}"#
            );
            assert_eq!(of(&sidecar(&json), Service::Signer).unwrap().is_ok(), fits);
        }
    }
}

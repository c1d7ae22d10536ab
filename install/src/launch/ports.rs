//! Free ports of the host's loopback for one container's services.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// One for each service, so that a gate that is added later finds its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    pub(super) broker: u16,
    pub(super) signer: u16,
    pub(super) gate: u16,
}

impl Ports {
    /// Chosen by the kernel and released: all are bound at once, or it could choose one twice.
    /// Should somebody take one before the supervisor binds it, that service alone fails, and
    /// says so.
    pub(super) fn allocate() -> io::Result<Self> {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let (broker, signer, gate) = (bind()?, bind()?, bind()?);
        let port = |listener: &TcpListener| Ok::<_, io::Error>(listener.local_addr()?.port());
        Ok(Self { broker: port(&broker)?, signer: port(&signer)?, gate: port(&gate)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_are_free() {
        let ports = Ports::allocate().unwrap();
        assert!(ports.broker != ports.signer && ports.signer != ports.gate);
        assert!(ports.broker != ports.gate);
        TcpListener::bind((Ipv4Addr::LOCALHOST, ports.broker)).unwrap();
    }
}

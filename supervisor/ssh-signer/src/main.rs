//! The SSH signer: an agent without keys.
//!
//! A client presents a phantom token (`handshake`), then speaks the SSH agent protocol (`frame`,
//! `message`). Public keys and signatures come from the keeper; `session` carries them across.

mod handshake;

mod frame;

mod message;

mod session;

use std::os::fd::OwnedFd;
use std::process::ExitCode;

use terok_service::clients::{self, Listener};
use terok_service::{Failure, Inherited, Lane, Life, Sockets};
use terok_shared::handover::{Common, SignerSlice};
use terok_shared::service::Service;
use vault_grant::Keeper;

/// More clients wait in the listener's queue.
const MAX_CLIENTS: usize = 256;

struct Signer {
    listener: Listener,
    line: OwnedFd,
}

impl Life for Signer {
    const SERVICE: Service = Service::Signer;
    type Slice = SignerSlice;

    fn open(_: SignerSlice, _: &Common, mut inherited: Inherited) -> Result<Self, Failure> {
        let listener = inherited.listener()?;
        Ok(Self { listener, line: inherited.line()? })
    }

    /// It needs no file, no program and no connection of its own.
    fn lane(&self) -> Lane {
        Lane { sockets: Sockets::Inherited, ..Lane::default() }
    }

    fn serve(self) -> Result<(), Failure> {
        clients::block_on(async {
            let keeper = Keeper::on(self.line)?;
            clients::serve(self.listener, MAX_CLIENTS, move |connection, drain| {
                session::run(connection, keeper.clone(), drain)
            })
            .await
        })??;
        Ok(())
    }
}

fn main() -> ExitCode {
    terok_service::run::<Signer>()
}

//! The SSH signer: an agent without keys.
//!
//! A client presents a phantom token (`handshake`), or comes in where the kernel vouches for it
//! (`neighbour`), and speaks the SSH agent protocol (`frame`, `message`). Hosts prove themselves
//! on its connection (`binds`). Public keys and signatures come from the keeper; `session` carries
//! them across, and each signature and refusal into the `audit`.

mod handshake;

mod neighbour;

mod frame;

mod message;

mod binds;

mod session;

mod audit;

use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::rc::Rc;

use terok_service::clients::{self, Connection, Drain, Listener};
use terok_service::{Failure, Inherited, Lane, Life, Sockets};
use terok_shared::handover::{Common, SignerSlice};
use terok_shared::secret::Secret;
use terok_shared::service::Service;
use vault_grant::Keeper;

use audit::Audit;
use neighbour::{Neighbours, Whereabouts, Witness};
use session::Desk;

/// More clients wait in the listeners' queues.
const MAX_CLIENTS: usize = 256;

struct Signer {
    listener: Listener,
    /// Where clients come in without a handshake.
    plain: Option<Door>,
    line: OwnedFd,
    audit: Audit,
}

/// Who may come in there, and the token that such a client has.
struct Door {
    neighbours: Neighbours,
    token: Secret<String>,
}

impl Life for Signer {
    const SERVICE: Service = Service::Signer;
    type Slice = SignerSlice;

    fn open(slice: SignerSlice, _: &Common, mut inherited: Inherited) -> Result<Self, Failure> {
        let namespace = inherited.container_pids.take().map(Whereabouts::Namespace);
        let witness = inherited.witness.take().map(|line| Whereabouts::Witness(Witness::at(line)));
        let plain = match (&inherited.agent_listener, namespace.or(witness), slice.agent_token) {
            (Some(socket), Some(whereabouts), Some(token)) => {
                Some(Door { neighbours: Neighbours::of(whereabouts, socket)?, token: token.into() })
            }
            _ => None,
        };
        let listener = inherited.listener()?;
        if inherited.audit.is_none() {
            log::warn!("no audit file was handed down: signatures leave no trace");
        }
        let line = inherited.line()?;
        let listener = if plain.is_some() { listener.staying() } else { listener };
        Ok(Self { listener, plain, line, audit: Audit::new(inherited.audit) })
    }

    /// It needs no file, no program and no connection of its own.
    fn lane(&self) -> Lane {
        Lane { sockets: Sockets::Inherited, ..Lane::default() }
    }

    fn serve(self) -> Result<(), Failure> {
        clients::block_on(async {
            let desk = Desk::new(Keeper::on(self.line)?, self.audit);
            let plain = Rc::new(self.plain);
            clients::serve(self.listener, MAX_CLIENTS, move |connection, drain| {
                receive(connection, Rc::clone(&plain), desk.clone(), drain)
            })
            .await
        })??;
        Ok(())
    }
}

async fn receive(connection: Connection, plain: Rc<Option<Door>>, desk: Desk, drain: Drain) {
    let Some(door) = plain.as_ref().as_ref().filter(|door| door.neighbours.came_in(&connection))
    else {
        return session::with_handshake(connection, desk, drain).await;
    };
    match door.neighbours.admit(&connection) {
        Ok(()) => {
            let token = Secret::from(door.token.expose().clone());
            session::with_token(connection, desk, token, drain).await;
        }
        Err(why) => log::warn!("client refused: {why}"),
    }
}

fn main() -> ExitCode {
    terok_service::run::<Signer>()
}

//! From a sidecar to the children to start: listeners bound, lines paired, slices cut. A service
//! that cannot be wired costs only itself.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use terok_shared::endpoint::{self, Endpoint};
use terok_shared::handover::{
    AGENT_LISTENER_FD, AUDIT_FD, CONTAINER_PIDS_FD, LINE_FD, LISTENER_FD, LOOPBACK_LISTENER_FD,
    SIGNER_LINE_FD, WITNESS_FD,
};
use terok_shared::layout;
use terok_shared::packet_pair;
use terok_shared::process::Process;
use terok_shared::secret::Secret;
use terok_shared::service::Service;
use terok_shared::sibling;
use terok_shared::sidecar::{Activation, Sidecar};

use crate::agent_socket::{self, AgentSocket, Whereabouts};
use crate::witness::Witness;
use crate::{listen, netns, slices};

/// One service, ready to be started any number of times.
#[derive(Debug)]
pub(crate) struct Wired {
    pub(crate) service: Service,
    pub(crate) program: PathBuf,
    pub(crate) slice: Secret<Vec<u8>>,
    pub(crate) activation: Activation,
    /// Kept here and copied to each child: descriptor and the number it is handed down at.
    pub(crate) descriptors: Vec<(OwnedFd, RawFd)>,
}

impl Wired {
    /// Where a first client shows itself: at a listener, or, for the keeper, on a line.
    pub(crate) fn doors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let keeper = self.service == Service::Keeper;
        let doors = move |number: RawFd| match number {
            LISTENER_FD | LOOPBACK_LISTENER_FD | AGENT_LISTENER_FD => true,
            LINE_FD | SIGNER_LINE_FD => keeper,
            _ => false,
        };
        let ours = self.descriptors.iter().filter(move |(_, number)| doors(*number));
        ours.map(|(descriptor, _)| descriptor.as_fd())
    }

    /// Closes what clients connect to; lines between services stay, so that nobody takes the end
    /// of another for trouble of its own.
    pub(crate) fn close_listeners(&mut self) {
        let listener = |number: RawFd| {
            matches!(number, LISTENER_FD | LOOPBACK_LISTENER_FD | AGENT_LISTENER_FD)
        };
        self.descriptors.retain(|(_, number)| !listener(*number));
    }

    /// Whether a clean end means that nobody needed it.
    pub(crate) fn may_leave(&self) -> bool {
        matches!(self.activation, Activation::OnDemand { .. })
    }
}

pub(crate) struct Wiring {
    pub(crate) children: Vec<Wired>,
    /// `service endpoint`, for the log and the diary.
    pub(crate) listening: Vec<String>,
    pub(crate) problems: Vec<String>,
    /// Socket files to remove at the end.
    pub(crate) sockets: Vec<PathBuf>,
    /// Whom the signer asks about its neighbours, on a kernel that does not tell it itself.
    pub(crate) witness: Option<Witness>,
}

#[derive(Debug)]
pub(crate) struct WiringError {
    what: &'static str,
    why: io::Error,
}

impl Wiring {
    /// `container` is the container's init, where one is watched.
    pub(crate) fn of(sidecar: &Sidecar, container: Option<Process>) -> Result<Self, WiringError> {
        let mut wiring = Self {
            children: vec![],
            listening: vec![],
            problems: vec![],
            sockets: vec![],
            witness: None,
        };
        let listeners: Vec<(Service, OwnedFd)> = Service::ALL
            .into_iter()
            .filter_map(|service| Some((service, wiring.listen(sidecar, service)?)))
            .collect();
        let mut inside = wiring.listen_inside(sidecar, container);
        let audit = wiring.audit(&sidecar.db_path);
        let mut keeper = vec![];
        for (service, listener) in listeners {
            let mut descriptors = vec![(listener, LISTENER_FD)];
            if let Some(n) = inside.iter().position(|(whose, _)| *whose == service) {
                descriptors.push((inside.swap_remove(n).1, LOOPBACK_LISTENER_FD));
            }
            if service == Service::Signer {
                descriptors.extend(wiring.agent_socket(sidecar, container));
            }
            let keeper_number = match service {
                Service::Broker => Some(LINE_FD),
                Service::Signer => Some(SIGNER_LINE_FD),
                Service::Keeper | Service::Gate => None,
            };
            if let Some(number) = keeper_number {
                let (keepers_end, its_end) = packet_pair::new()
                    .map_err(|why| WiringError { what: "make a line to the keeper", why })?;
                keeper.push((keepers_end, number));
                descriptors.push((its_end, LINE_FD));
            }
            if let Some(audit) = &audit {
                let copy = audit
                    .try_clone()
                    .map_err(|why| WiringError { what: "copy the audit descriptor", why })?;
                descriptors.push((copy.into(), AUDIT_FD));
            }
            wiring.add(sidecar, service, descriptors);
        }
        // The keeper serves the other two; alone it would hold the vault open for nobody. It is
        // started first, because its key derivation takes longest.
        if !keeper.is_empty() {
            wiring.add(sidecar, Service::Keeper, keeper);
            wiring.children.rotate_right(1);
        }
        Ok(wiring)
    }

    /// Binds a service's listener, unless its program is missing: nobody would ever answer there.
    fn listen(&mut self, sidecar: &Sidecar, service: Service) -> Option<OwnedFd> {
        let bound =
            endpoint::of(sidecar, service)?.map_err(|why| why.to_string()).and_then(|endpoint| {
                sibling::program(service.program()).map_err(|why| why.to_string())?;
                let listener = listen::bind(&endpoint).map_err(|why| why.to_string())?;
                Ok((endpoint, listener))
            });
        match bound {
            Ok((endpoint, listener)) => {
                self.listening.push(format!("{service} {endpoint}"));
                if let Endpoint::Unix(path) = endpoint {
                    self.sockets.push(path);
                }
                Some(listener)
            }
            Err(why) => {
                self.problems.push(format!("{service}: {why}"));
                None
            }
        }
    }

    /// Binds what the sidecar wants inside the container's network namespace.
    fn listen_inside(
        &mut self,
        sidecar: &Sidecar,
        container: Option<Process>,
    ) -> Vec<(Service, OwnedFd)> {
        let Some(loopback) = &sidecar.loopback else { return vec![] };
        let gate = loopback.gate.filter(|_| sidecar.gate.is_some());
        let wanted: Vec<(Service, u16)> =
            [(Service::Broker, loopback.vault), (Service::Gate, gate)]
                .into_iter()
                .filter_map(|(service, port)| Some((service, port?)))
                .collect();
        let ports: Vec<u16> = wanted.iter().map(|(_, port)| *port).collect();
        let bound = match container {
            Some(container) => {
                netns::listen_inside(container, &ports).map_err(|why| why.to_string())
            }
            None => Err("no container is watched\nhint: pass --container-pid".to_owned()),
        };
        match bound {
            Ok(sockets) => {
                let inside = |(service, port)| format!("{service} 127.0.0.1:{port} inside");
                self.listening.extend(wanted.iter().copied().map(inside));
                wanted.into_iter().map(|(service, _)| service).zip(sockets).collect()
            }
            Err(why) => {
                self.problems.push(format!("loopback: {why}"));
                vec![]
            }
        }
    }

    /// The signer's second listener, and what it tells the container's processes by.
    fn agent_socket(
        &mut self,
        sidecar: &Sidecar,
        container: Option<Process>,
    ) -> Vec<(OwnedFd, RawFd)> {
        if sidecar.agent_token.is_none() {
            return vec![];
        }
        match agent_socket::open(sidecar, container) {
            Ok(AgentSocket { path, listener, whereabouts }) => {
                self.listening.push(format!(
                    "{} {} without handshake",
                    Service::Signer,
                    path.display()
                ));
                self.sockets.push(path);
                let knowledge = match whereabouts {
                    Whereabouts::Namespace(pids) => (pids, CONTAINER_PIDS_FD),
                    Whereabouts::Witness(witness, line) => {
                        self.witness = Some(witness);
                        (line, WITNESS_FD)
                    }
                };
                vec![(listener, AGENT_LISTENER_FD), knowledge]
            }
            Err(why) => {
                self.problems.push(format!("agent socket: {why}"));
                vec![]
            }
        }
    }

    fn add(&mut self, sidecar: &Sidecar, service: Service, descriptors: Vec<(OwnedFd, RawFd)>) {
        let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        let parent = std::process::id() as i32;
        let slice = slices::text(sidecar, service, parent, runtime_dir);
        match sibling::program(service.program()) {
            Ok(program) => self.children.extend(slice.map(|slice| Wired {
                service,
                program,
                slice,
                activation: sidecar.activation,
                descriptors,
            })),
            Err(why) => self.problems.push(format!("{service}: {why}")),
        }
    }

    /// The audit file beside the database. Without it services go on: it records, it does not
    /// guard.
    fn audit(&mut self, db_path: &Path) -> Option<File> {
        let path = layout::audit_beside(db_path);
        let opened = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(&path);
        opened
            .map_err(|why| self.problems.push(format!("open audit file {}: {why}", path.display())))
            .ok()
    }
}

impl fmt::Display for WiringError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

impl std::error::Error for WiringError {}

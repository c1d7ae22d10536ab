//! The gate's part of a service's life: what it opens, the lane it keeps to, how it serves.

use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use nix::sys::signal::{Signal, raise};
use nix::sys::utsname::uname;
use terok_service::clients::{self, Listener};
use terok_service::{Failure, Inherited, Lane, Life};
use terok_shared::handover::{Common, GateSlice};
use terok_shared::secret::Secret;
use terok_shared::service::Service;
use terok_shared::sys::descriptors;
use tokio::runtime::LocalOptions;

use crate::audit::Audit;
use crate::door::{self, Door};
use crate::git::Git;
use crate::home::Home;
use crate::lane;
use crate::mirror::{Mirror, Presence};
use crate::moderation;
use crate::news::NEWS_FD;
use crate::policy::Rules;
use crate::policy_source::PolicySource;
use crate::route::Repository;

/// Connections at a time; further ones wait in the kernel's queue.
const MAX_CLIENTS: usize = 256;
/// How often we look whether the transfer has ended that keeps the gate from starting anew.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

pub(crate) struct Gate {
    listener: Listener,
    door: Door,
}

#[derive(Debug)]
enum LifeError {
    ProjectUnusable { project_id: String },
}

impl Life for Gate {
    const SERVICE: Service = Service::Gate;
    type Slice = GateSlice;

    fn open(slice: GateSlice, common: &Common, mut inherited: Inherited) -> Result<Self, Failure> {
        let token = Secret::from(slice.token);
        let listener = inherited.listener()?;
        let Some(repository) = Repository::parse(&slice.project_id) else {
            return Err(LifeError::ProjectUnusable { project_id: slice.project_id }.into());
        };
        if let Some(warning) = uname().ok().and_then(|it| lane::warning(it.release().to_str()?)) {
            log::warn!("{warning}");
        }
        let git = Git::find()?;
        let home = Home::make()?;
        let mirror = Mirror::locate(&slice.base_path, &repository);
        if mirror.presence() == Presence::Absent {
            log::warn!(
                "no mirror at {}: every request gets 404 until there is one",
                mirror.path().display()
            );
        }
        let policy = PolicySource::open(slice.policy, mirror.policy_file());
        if let Rules::Malformed(why) = &policy.rules {
            log::error!("no push is taken, the policy is malformed: {why}");
        }
        let container = common.container_name.clone();
        let audit = Audit::new(inherited.audit.take(), slice.project_id, container);
        let door = Door::new(token, repository, mirror, git, home, policy, audit);
        Ok(Self { listener, door })
    }

    fn lane(&self) -> Lane {
        let door = &self.door;
        lane::of(&door.git, &door.home, &door.mirror, &door.backends.policy.rules)
    }

    fn serve(self) -> Result<(), Failure> {
        let Self { listener, door } = self;
        let door = Rc::new(door);
        // What a backend inherits at a fixed number must not meet the standard library's own
        // descriptors there.
        let _low = descriptors::reserve_up_to(NEWS_FD)?;
        block_on(async {
            let is_fit = || door.outdated().is_none() || !door.backends.are_idle();
            let serving =
                clients::serve_while(listener, MAX_CLIENTS, is_fit, |connection, drain| {
                    door::attend(Rc::clone(&door), connection, drain)
                });
            tokio::select! {
                served = serving => served,
                never = leave_when_outdated(&door) => match never {},
            }
        })??;
        if let Some(reason) = door.outdated() {
            log::info!("{reason}: starting again");
        }
        Ok(())
    }
}

/// Runs the gate on one thread.
fn block_on<T>(service: impl Future<Output = T>) -> io::Result<T> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().on_thread_park(moderation::before_waiting);
    Ok(runtime.build_local(LocalOptions::default())?.block_on(service))
}

/// Ends the service when a client that is inside already meets a gate of yesterday, as soon as
/// nobody is in the middle of a transfer.
async fn leave_when_outdated(door: &Door) -> std::convert::Infallible {
    door.met_outdated.notified().await;
    while !door.backends.are_idle() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    leave();
    std::future::pending().await
}

/// Asks ourselves to stop as the parent would, so that work in flight is drained the same way.
fn leave() {
    if let Err(why) = raise(Signal::SIGTERM) {
        log::error!("stop to be started again: {why}");
    }
}

impl fmt::Display for LifeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ProjectUnusable { project_id } => write!(
                f,
                "open the gate: `project_id` {project_id:?} cannot name a repository\n\
                 hint: use letters, digits, `.`, `_` and `-`"
            ),
        }
    }
}

impl std::error::Error for LifeError {}

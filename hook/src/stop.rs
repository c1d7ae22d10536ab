//! Ending the supervisor after the container's death: bounded, repeatable, and harmless when the
//! supervisor is already gone, as it is nearly always: it watches the container itself.

use std::fmt;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use terok_hook::operator;
use terok_shared::endpoint::{self, Endpoint};
use terok_shared::layout::StateRoot;
use terok_shared::pid_file::{self, Living};
use terok_shared::process::{self, Process};
use terok_shared::service::Service;
use terok_shared::sidecar::{self, Sidecar};
use terok_shared::socket_file;

use crate::neighbour;
use crate::plan::Stop;

/// Grace between SIGTERM and SIGKILL, and after SIGKILL: under 2 s together.
const GRACE: Duration = Duration::from_millis(1500);
const LAST: Duration = Duration::from_millis(300);

#[derive(Debug)]
pub(crate) enum Outcome {
    /// Nobody was running.
    Gone,
    Stopped {
        pid: i32,
        took: Duration,
    },
    Killed {
        pid: i32,
        strays: usize,
    },
    /// A poststop of an earlier run: the container lives again.
    ContainerLives {
        pid: i32,
    },
}

#[derive(Debug)]
pub(crate) enum StopError {
    ForeignRoot { root: String },
    Signal { pid: i32, why: io::Error },
    PidFile(io::Error),
}

pub(crate) fn stop(plan: &Stop) -> Result<Outcome, StopError> {
    let root = StateRoot::new(plan.sidecar.state_root());
    if !operator::owns(root.path()) {
        return Err(StopError::ForeignRoot { root: root.path().display().to_string() });
    }
    let pid_file = root.pid_file(&plan.id);
    let outcome = match pid_file::living(&pid_file, &plan.id) {
        Some(Living { container: Some(container), .. }) if container.is_alive() => {
            return Ok(Outcome::ContainerLives { pid: container.pid() });
        }
        Some(Living { supervisor, .. }) => end(supervisor)?,
        None => Outcome::Gone,
    };
    pid_file::remove(&pid_file).map_err(StopError::PidFile)?;
    // A supervisor that was killed leaves the others too; their readers compare the pid anyway.
    for record in root.records(&plan.id) {
        let _ = fs::remove_file(record);
    }
    remove_sockets(plan, &root);
    Ok(outcome)
}

/// The supervisor leads its own process group and session (setsid(2)), so one signal reaches its
/// children too.
fn end(supervisor: Process) -> Result<Outcome, StopError> {
    let began = Instant::now();
    let pid = supervisor.pid();
    let Ok(pidfd) = supervisor.open() else { return Ok(Outcome::Gone) };
    signal_group(pid, Signal::SIGTERM)?;
    if wait(&pidfd, GRACE) {
        return Ok(Outcome::Stopped { pid, took: began.elapsed() });
    }
    signal_group(pid, Signal::SIGKILL)?;
    wait(&pidfd, LAST);
    Ok(Outcome::Killed { pid, strays: sweep(pid) })
}

/// Kills what left the group but not the session.
fn sweep(leader: i32) -> usize {
    let strays = process::session_members(leader).unwrap_or_default();
    strays.iter().filter(|stray| stray.kill().is_ok()).count()
}

fn signal_group(leader: i32, signal: Signal) -> Result<(), StopError> {
    match killpg(Pid::from_raw(leader), signal) {
        Ok(()) | Err(nix::Error::ESRCH) => Ok(()),
        Err(errno) => Err(StopError::Signal { pid: leader, why: errno.into() }),
    }
}

/// Whether the process ended in time: a pidfd is readable from then on (pidfd_open(2)).
fn wait(pidfd: &OwnedFd, patience: Duration) -> bool {
    let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
    poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], patience).is_ok_and(|n| n > 0)
}

/// A supervisor that was killed leaves its sockets; the next start would remove them, but there
/// may be none.
fn remove_sockets(plan: &Stop, root: &StateRoot) {
    let Ok((_, text)) = sidecar::read(&plan.sidecar) else { return };
    let Ok(sidecar) = Sidecar::parse(plan.sidecar.as_path(), &text) else { return };
    // Another container of the pod has them. It can keep whoever knocks there waiting, and podman
    // would wait for us.
    if neighbour::find(&plan.id, &plan.sidecar, &sidecar, root).is_some() {
        return;
    }
    for service in Service::ALL {
        if let Some(Ok(Endpoint::Unix(path))) = endpoint::of(&sidecar, service) {
            clear(&path);
        }
    }
}

fn clear(path: &Path) {
    // One that is served by somebody else is not ours to remove.
    let _ = socket_file::clear(path);
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => write!(f, "container stopped; supervisor had already ended"),
            Self::Stopped { pid, took } => {
                write!(f, "supervisor {pid} stopped in {} ms", took.as_millis())
            }
            Self::Killed { pid, strays } => write!(
                f,
                "supervisor {pid} killed after {} ms, {strays} strays too",
                GRACE.as_millis()
            ),
            Self::ContainerLives { pid } => {
                write!(f, "late poststop ignored: the container runs again as process {pid}")
            }
        }
    }
}

impl fmt::Display for StopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignRoot { root } => write!(f, "state root {root}: not a directory of ours"),
            Self::Signal { pid, why } => write!(f, "signal supervisor {pid}: {why}"),
            Self::PidFile(why) => write!(f, "remove the pid file: {why}"),
        }
    }
}

impl std::error::Error for StopError {}

//! The parent's loop: one poll over signals, the container, every child, and what the signer asks.

use std::fmt;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use terok_shared::service::Service;

use crate::child::Child;
use crate::container_watch::ContainerWatch;
use crate::log_bound::LogBound;
use crate::slot::Slot;
use crate::status_file::StatusFile;
use crate::wiring::Wired;
use crate::witness::Witness;

/// How long children may drain before they are killed: the container is gone, and conmon waits.
const DRAIN: Duration = Duration::from_millis(150);
/// How often a container without pidfd is looked at.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) enum SuperviseError {
    Poll(io::Error),
    /// No service is started again.
    AllDown,
}

/// Starts every child and keeps them running until the container or somebody else, through `stop`,
/// ends it.
pub(crate) fn supervise(
    children: Vec<Wired>,
    witness: Option<Witness>,
    watch: Option<ContainerWatch>,
    mut stop: UnixStream,
    mut status: StatusFile,
    mut log: Option<LogBound>,
) -> Result<(), SuperviseError> {
    let mut slots: Vec<Slot> = children.into_iter().map(Slot::new).collect();
    let ended = loop {
        slots.iter_mut().for_each(Slot::start_if_due);
        status.tell(&slots);
        if let Some(log) = &mut log {
            log.look_if_due();
        }
        if slots.iter().all(Slot::is_down) {
            break Err(SuperviseError::AllDown);
        }
        let log_due = log.as_ref().map(LogBound::due);
        let events = match wait(&stop, watch.as_ref(), &slots, witness.as_ref(), log_due) {
            Ok(events) => events,
            Err(why) => break Err(SuperviseError::Poll(why)),
        };
        if events.stop {
            // The byte is taken so that a second signal is told apart while draining.
            let _ = stop.read(&mut [0]);
            log::info!("told to stop");
            break Ok(());
        }
        if watch
            .as_ref()
            .is_some_and(|w| (events.container || w.pidfd().is_none()) && w.has_ended())
        {
            log::info!("the container has ended");
            break Ok(());
        }
        if let Some(witness) = &witness {
            witness.answer();
        }
        slots.iter_mut().for_each(Slot::look);
        let woken = slots.iter_mut().filter_map(|slot| slot.is_woken().then(|| slot.service()));
        let woken: Vec<Service> = woken.collect();
        if !woken.is_empty() {
            slots.iter_mut().for_each(|slot| slot.join(&woken));
        }
    };
    end(&mut slots);
    ended
}

/// SIGTERM and SIGINT as readable bytes, from now on.
pub(crate) fn stop_signals() -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    for signal in [SIGTERM, SIGINT] {
        signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
    }
    Ok(read)
}

struct Events {
    stop: bool,
    container: bool,
}

fn wait(
    stop: &UnixStream,
    watch: Option<&ContainerWatch>,
    slots: &[Slot],
    witness: Option<&Witness>,
    also_due: Option<Instant>,
) -> io::Result<Events> {
    let mut watched = vec![readable(stop.as_fd())];
    let container = watch.and_then(ContainerWatch::pidfd);
    watched.extend(container.map(readable));
    watched.extend(slots.iter().flat_map(Slot::watched).map(readable));
    watched.extend(witness.map(|witness| readable(witness.as_fd())));
    let due = slots.iter().filter_map(Slot::due).min();
    let look = watch.filter(|watch| watch.pidfd().is_none()).map(|_| Instant::now() + LOOK);
    let timeout =
        due.into_iter().chain(look).chain(also_due).min().map_or(PollTimeout::NONE, until);
    match poll(&mut watched, timeout) {
        Err(nix::Error::EINTR) | Ok(_) => {}
        Err(errno) => return Err(errno.into()),
    }
    let happened = |n: usize| watched.get(n).is_some_and(|fd| fd.any() == Some(true));
    Ok(Events { stop: happened(0), container: container.is_some() && happened(1) })
}

pub(crate) fn readable(descriptor: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(descriptor, PollFlags::POLLIN)
}

/// Rounded up: waking a little early would only spin.
fn until(due: Instant) -> PollTimeout {
    let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}

/// Asks every child to drain, and kills those that take too long. Their lines and listeners stay
/// open until all have ended, so none of them takes the end of another for trouble.
fn end(slots: &mut [Slot]) {
    let mut children: Vec<&mut Child> = slots.iter_mut().filter_map(Slot::child).collect();
    children.iter().for_each(|child| child.terminate());
    let deadline = Instant::now() + DRAIN;
    loop {
        children.retain_mut(|child| matches!(child.reap(), Ok(None)));
        if children.is_empty() || Instant::now() >= deadline {
            break;
        }
        let mut watched: Vec<PollFd<'_>> =
            children.iter().map(|child| readable(child.pidfd())).collect();
        if let Err(errno) = poll(&mut watched, until(deadline)) {
            log::debug!("wait for the children: {errno}");
        }
    }
    for child in children {
        log::warn!("process {} did not end in time", child.pid());
        child.kill();
        while matches!(child.reap(), Ok(None)) {
            let _ = poll(&mut [readable(child.pidfd())], until(Instant::now() + LOOK));
        }
    }
}

impl fmt::Display for SuperviseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Poll(why) => write!(f, "wait for events: {why}"),
            Self::AllDown => write!(f, "no service can be started"),
        }
    }
}

impl std::error::Error for SuperviseError {}

//! One service across its runs: dormant until its first client, or a moment at most; restarted when
//! it dies; left down when it dies too often or when that changes nothing.

use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::poll::{PollTimeout, poll};
use terok_shared::service::Service;
use terok_shared::sidecar::Activation;
use terok_shared::status::{ServiceState, ServiceStatus};

use crate::child::Child;
use crate::restart::{LIMIT, Next, Restarts, succession};
use crate::supervise::readable;
use crate::wiring::Wired;

/// A container's own start goes first: it has to share the processors with ours, and many a
/// container needs no service. Its first client ends the wait for all.
const HEAD_START: Duration = Duration::from_millis(100);

pub(crate) struct Slot {
    wired: Wired,
    restarts: Restarts,
    state: State,
    /// How its last run ended, when that was not as it should.
    last_error: Option<String>,
}

enum State {
    /// Started by its first client, or at this time.
    Dormant(Option<Instant>),
    Running(Child),
    Waiting(Instant),
    Down(Down),
}

/// Why it is not started again.
#[derive(Clone, Copy)]
enum Down {
    Failed,
    GivenUp,
}

impl Slot {
    pub(crate) fn new(wired: Wired) -> Self {
        let state = match wired.activation {
            Activation::Eager => State::Dormant(Some(Instant::now() + HEAD_START)),
            Activation::OnDemand { .. } => State::Dormant(None),
        };
        Self { wired, restarts: Restarts::default(), state, last_error: None }
    }

    /// Whether it is not started again.
    pub(crate) fn is_down(&self) -> bool {
        matches!(self.state, State::Down(_))
    }

    pub(crate) fn status(&self) -> ServiceStatus {
        let (state, child) = match &self.state {
            State::Dormant(None) => (ServiceState::Dormant, None),
            State::Dormant(Some(_)) => (ServiceState::Starting, None),
            State::Running(child) if child.ready.is_some() => (ServiceState::Starting, Some(child)),
            State::Running(child) => (ServiceState::Running, Some(child)),
            State::Waiting(_) => (ServiceState::Restarting, None),
            State::Down(Down::Failed) => (ServiceState::Failed, None),
            State::Down(Down::GivenUp) => (ServiceState::GivenUp, None),
        };
        ServiceStatus {
            service: self.service().name().to_owned(),
            state,
            pid: child.map(Child::pid),
            started: child.and_then(Child::started),
            restarts: self.restarts.total,
            last_error: self.last_error.clone(),
        }
    }

    pub(crate) fn service(&self) -> Service {
        self.wired.service
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(due) => Some(due),
            State::Dormant(due) => due,
            State::Running(_) | State::Down(_) => None,
        }
    }

    pub(crate) fn child(&mut self) -> Option<&mut Child> {
        match &mut self.state {
            State::Running(child) => Some(child),
            State::Dormant(_) | State::Waiting(_) | State::Down(_) => None,
        }
    }

    /// What wakes the loop for this service: its end and its readiness, or its first client.
    pub(crate) fn watched(&self) -> Vec<BorrowedFd<'_>> {
        match &self.state {
            State::Running(child) => {
                let ready = child.ready.as_ref().map(AsFd::as_fd);
                std::iter::once(child.pidfd()).chain(ready).collect()
            }
            State::Dormant(_) => self.wired.doors().collect(),
            State::Waiting(_) | State::Down(_) => vec![],
        }
    }

    pub(crate) fn start_if_due(&mut self) {
        if self.due().is_none_or(|due| due > Instant::now()) {
            return;
        }
        match Child::spawn(&self.wired) {
            Ok(child) => {
                log::debug!("{}: process {}", self.service(), child.pid());
                self.state = State::Running(child);
            }
            Err(why) => {
                log::error!("{}: {why}", self.service());
                self.last_error = Some(why.to_string());
                self.ended(None, Duration::ZERO);
            }
        }
    }

    /// Whether its first client has come; it is started then.
    pub(crate) fn is_woken(&mut self) -> bool {
        let woken = matches!(self.state, State::Dormant(_)) && self.wired.doors().any(is_readable);
        if woken {
            self.state = State::Waiting(Instant::now());
        }
        woken
    }

    /// Starts it too when others were woken that will need it, or that it would follow anyway.
    pub(crate) fn join(&mut self, woken: &[Service]) {
        let needed = self.service() == Service::Keeper && woken.iter().any(|s| s.asks_the_keeper());
        if matches!(self.state, State::Dormant(due) if due.is_some() || needed) {
            self.state = State::Waiting(Instant::now());
        }
    }

    /// Notices what a child has said, or how it ended.
    pub(crate) fn look(&mut self) {
        let service = self.service();
        let State::Running(child) = &mut self.state else { return };
        if let Some(ready) = &mut child.ready
            && is_readable(ready.as_fd())
        {
            if ready.read(&mut [0]).is_ok_and(|n| n == 1) {
                log::info!("{service} is ready after {} ms", child.since.elapsed().as_millis());
                child.has_served = true;
            }
            child.ready = None;
        }
        match child.reap() {
            Ok(None) => {}
            Ok(Some(status)) if self.wired.may_leave() && status.success() => {
                log::debug!("{service} left for want of clients");
                self.state = State::Dormant(None);
            }
            Ok(Some(status)) if child.has_served && status.success() => {
                log::debug!("{service} makes room for its successor");
                self.state = State::Waiting(Instant::now() + succession(child.since.elapsed()));
            }
            Ok(Some(status)) => {
                let lived = child.since.elapsed();
                self.last_error = Some(describe(status));
                log::warn!("{service} ended: {}", describe(status));
                self.ended(status.code(), lived);
            }
            Err(why) => log::error!("{service}: look after it: {why}"),
        }
    }

    fn ended(&mut self, status: Option<i32>, lived: Duration) {
        self.state = match self.restarts.after(status, lived) {
            Next::After(pause) => {
                if !pause.is_zero() {
                    log::info!("{} starts again in {} ms", self.service(), pause.as_millis());
                }
                State::Waiting(Instant::now() + pause)
            }
            Next::Failed => {
                log::error!("{} ended {LIMIT} times in a row: not started again", self.service());
                self.down(Down::Failed)
            }
            Next::Unusable => {
                log::error!("{} is not started again", self.service());
                self.down(Down::GivenUp)
            }
        };
    }

    /// Nobody will answer any more: clients are refused instead of waiting for ever.
    fn down(&mut self, why: Down) -> State {
        self.wired.close_listeners();
        State::Down(why)
    }
}

fn is_readable(descriptor: BorrowedFd<'_>) -> bool {
    poll(&mut [readable(descriptor)], PollTimeout::ZERO).is_ok_and(|n| n > 0)
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(service: Service, activation: Activation) -> Slot {
        let slice = Vec::new().into();
        Slot::new(Wired { service, program: "/x".into(), slice, activation, descriptors: vec![] })
    }

    fn is_due(slot: &Slot) -> bool {
        slot.due().is_some_and(|due| due <= Instant::now())
    }

    #[test]
    fn the_container_has_a_head_start_that_the_first_client_ends_for_all() {
        let mut gate = slot(Service::Gate, Activation::Eager);
        let left = gate.due().unwrap().saturating_duration_since(Instant::now());
        assert!(left > Duration::ZERO && left <= HEAD_START, "{left:?}");
        gate.join(&[Service::Broker]);
        assert!(is_due(&gate));
    }

    #[test]
    fn on_demand_a_client_brings_the_keeper_along_if_it_needs_it() {
        let demand = Activation::OnDemand { leave_after: Duration::from_secs(1) };
        for (woken, comes) in [(Service::Gate, false), (Service::Broker, true)] {
            let mut keeper = slot(Service::Keeper, demand);
            keeper.join(&[woken]);
            assert_eq!(is_due(&keeper), comes, "{woken}");
            let mut signer = slot(Service::Signer, demand);
            signer.join(&[woken]);
            assert!(signer.due().is_none());
        }
    }
}

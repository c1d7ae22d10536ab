//! One service across its runs: dormant until its first client or started at once, restarted when
//! it dies, given up when that changes nothing.

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
use crate::restart::{Next, Restarts};
use crate::supervise::readable;
use crate::wiring::Wired;

pub(crate) struct Slot {
    wired: Wired,
    restarts: Restarts,
    state: State,
    /// How its last run ended, when that was not as it should.
    last_error: Option<String>,
}

enum State {
    /// Started by its first client.
    Dormant,
    Running(Child),
    Waiting(Instant),
    GivenUp,
}

impl Slot {
    pub(crate) fn new(wired: Wired) -> Self {
        let state = match wired.activation {
            Activation::Eager => State::Waiting(Instant::now()),
            Activation::OnDemand { .. } => State::Dormant,
        };
        Self { wired, restarts: Restarts::default(), state, last_error: None }
    }

    pub(crate) fn is_given_up(&self) -> bool {
        matches!(self.state, State::GivenUp)
    }

    pub(crate) fn status(&self) -> ServiceStatus {
        let (state, pid) = match &self.state {
            State::Dormant => (ServiceState::Dormant, None),
            State::Running(child) if child.ready.is_some() => {
                (ServiceState::Starting, Some(child.pid()))
            }
            State::Running(child) => (ServiceState::Running, Some(child.pid())),
            State::Waiting(_) => (ServiceState::Restarting, None),
            State::GivenUp => (ServiceState::GivenUp, None),
        };
        ServiceStatus {
            service: self.service().name().to_owned(),
            state,
            pid,
            restarts: self.restarts.total,
            last_error: self.last_error.clone(),
        }
    }

    fn service(&self) -> Service {
        self.wired.service
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Waiting(due) => Some(due),
            State::Dormant | State::Running(_) | State::GivenUp => None,
        }
    }

    pub(crate) fn child(&mut self) -> Option<&mut Child> {
        match &mut self.state {
            State::Running(child) => Some(child),
            State::Dormant | State::Waiting(_) | State::GivenUp => None,
        }
    }

    /// What wakes the loop for this service: its end and its readiness, or its first client.
    pub(crate) fn watched(&self) -> Vec<BorrowedFd<'_>> {
        match &self.state {
            State::Running(child) => {
                let ready = child.ready.as_ref().map(AsFd::as_fd);
                std::iter::once(child.pidfd()).chain(ready).collect()
            }
            State::Dormant => self.wired.doors().collect(),
            State::Waiting(_) | State::GivenUp => vec![],
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

    /// Notices a first client, what a child has said, or how it ended.
    pub(crate) fn look(&mut self) {
        let service = self.service();
        if matches!(self.state, State::Dormant) && self.wired.doors().any(is_readable) {
            self.state = State::Waiting(Instant::now());
            return;
        }
        let State::Running(child) = &mut self.state else { return };
        if let Some(ready) = &mut child.ready
            && is_readable(ready.as_fd())
        {
            if ready.read(&mut [0]).is_ok_and(|n| n == 1) {
                log::info!("{service} is ready after {} ms", child.since.elapsed().as_millis());
            }
            child.ready = None;
        }
        match child.reap() {
            Ok(None) => {}
            Ok(Some(status)) if self.wired.may_leave() && status.success() => {
                log::debug!("{service} left for want of clients");
                self.state = State::Dormant;
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
            Next::Never => {
                log::error!("{} is not started again", self.service());
                State::GivenUp
            }
        };
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

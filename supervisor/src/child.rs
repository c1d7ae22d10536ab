//! One run of one service: started with its descriptors at their numbers and its slice on standard
//! input, watched through a pidfd.

use std::fmt;
use std::io::{self, PipeReader, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::process::{self, Command, ExitStatus, Stdio};
use std::time::Instant;

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use terok_shared::handover::READY_FD;
use terok_shared::process::Process;

use crate::environment;
use crate::wiring::Wired;

#[derive(Debug)]
pub(crate) struct Child {
    process: process::Child,
    pidfd: OwnedFd,
    started: Option<u64>,
    /// Readable with one byte when the service serves, at its end when it never will.
    pub(crate) ready: Option<PipeReader>,
    pub(crate) has_served: bool,
    pub(crate) since: Instant,
}

#[derive(Debug)]
pub(crate) struct SpawnError {
    program: PathBuf,
    why: io::Error,
}

impl Child {
    pub(crate) fn spawn(wired: &Wired) -> Result<Self, SpawnError> {
        Self::start(wired).map_err(|why| SpawnError { program: wired.program.clone(), why })
    }

    fn start(wired: &Wired) -> io::Result<Self> {
        let (ready, ready_end) = io::pipe()?;
        let mut mappings = vec![FdMapping { parent_fd: ready_end.into(), child_fd: READY_FD }];
        for (descriptor, number) in &wired.descriptors {
            mappings.push(FdMapping { parent_fd: descriptor.try_clone()?, child_fd: *number });
        }
        let mut command = Command::new(&wired.program);
        command
            .env_clear()
            .envs(environment::of(wired.service, |name| std::env::var_os(name)))
            .current_dir("/")
            .stdin(Stdio::piped());
        command.fd_mappings(mappings).map_err(io::Error::other)?;
        let mut process = command.spawn()?;
        // The child's ends live in the command until it goes.
        drop(command);
        if let Some(mut stdin) = process.stdin.take()
            && let Err(why) = stdin.write_all(wired.slice.expose())
        {
            // It died before reading; its status will say why.
            log::debug!("{}: hand over its slice: {why}", wired.service);
        }
        let pid = Pid::from_child(&process);
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        // Not reaped yet, so the number is its own.
        let started = Process::of(process.id() as i32).ok().map(Process::started);
        Ok(Self {
            process,
            pidfd,
            started,
            ready: Some(ready),
            has_served: false,
            since: Instant::now(),
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// In clock ticks since boot; a number that was taken over has another.
    pub(crate) fn started(&self) -> Option<u64> {
        self.started
    }

    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Its status, once the pidfd is readable.
    pub(crate) fn reap(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // One that has ended already is what we want.
        let _ = pidfd_send_signal(&self.pidfd, signal);
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "start {}: {}", self.program.display(), self.why)
    }
}

impl std::error::Error for SpawnError {}

//! The supervisor as a daemon: a process of the hook's own, in a session of its own.

use std::io;
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};

use terok_shared::placement::READINESS_FD;
use terok_shared::sys::detach;

use crate::launch::Launch;

/// Hands over the log and `readiness`, the pipe's writing end; the number of the latter must be
/// free or its own.
pub(crate) fn start(launch: &Launch, readiness: io::PipeWriter) -> io::Result<Child> {
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.arguments)
        .env_clear()
        .envs(launch.environment.iter().map(|(name, value)| (name, value)))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(launch.log.try_clone()?)
        .stderr(launch.log.try_clone()?);
    detach::spawn(command, readiness.as_fd(), READINESS_FD)
}

//! The first moments of a supervisor that the operator's service manager started: it fetches what
//! the hook would have let it inherit, and becomes the supervisor that the hook would have started.
//!
//! In: the path of the hook's socket. Out: this same process, executing this same program again
//! with the arguments, environment, log and readiness pipe it was handed, and nothing else.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};
use terok_shared::placement::{Handover, MAX_BYTES, READINESS_FD};
use terok_shared::sys::descriptors;
use terok_shared::{descriptor_packet, sibling};

/// Our own program, by the name that tells a supervisor in a list of processes.
const PROGRAM: &str = "terok-supervisor";

/// Returns only what went wrong; the hook notices that nobody came and goes another way.
pub(crate) fn become_supervisor(hook: &Path) -> io::Error {
    match fetch(hook).and_then(|(handover, log, readiness)| command(handover, log, readiness)) {
        Ok(mut command) => command.exec(),
        Err(why) => why,
    }
}

fn fetch(hook: &Path) -> io::Result<(Handover, OwnedFd, OwnedFd)> {
    let mut socket = UnixStream::connect(hook)?;
    let mut words = vec![0; MAX_BYTES];
    let (length, descriptors) = descriptor_packet::receive(&socket, &mut words)?;
    words.truncate(length);
    // The rest, where it came in pieces.
    socket.by_ref().take(MAX_BYTES as u64).read_to_end(&mut words)?;
    let [log, readiness] = <[OwnedFd; 2]>::try_from(descriptors)
        .map_err(|_| io::Error::other("the hook handed over no log and readiness pipe"))?;
    let handover = serde_json::from_slice(&words)?;
    Ok((handover, log, readiness))
}

fn command(handover: Handover, log: OwnedFd, readiness: OwnedFd) -> io::Result<Command> {
    let program = sibling::program(PROGRAM).map_err(|why| io::Error::other(why.to_string()))?;
    // So that the mapping below finds its number free.
    let _low = descriptors::reserve_up_to(READINESS_FD)?;
    let mut command = Command::new(program);
    command
        .args(handover.arguments)
        .env_clear()
        .envs(handover.environment)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    command
        .fd_mappings(vec![FdMapping { parent_fd: readiness, child_fd: READINESS_FD }])
        .map_err(io::Error::other)?;
    Ok(command)
}

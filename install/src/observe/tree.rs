//! Ending a supervisor with its children from outside, or a service that has lost its supervisor.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use terok_shared::process::{Process, session_members};

/// A supervisor drains for 150 ms.
const LEAVING: Duration = Duration::from_secs(1);

/// A supervisor leads a session of its own (setsid(2)), so its children get the signal too.
pub(super) fn end(process: Process) -> Result<String, String> {
    let pid = process.pid();
    let leads = is_leader(process);
    if !process.is_alive() {
        return Ok(format!("{pid} has ended by itself"));
    }
    if leads {
        signal_group(pid, Signal::SIGTERM)?;
    } else {
        return process.kill().map(|()| format!("ended {pid}")).map_err(|why| why.to_string());
    }
    if !leaves(process) {
        signal_group(pid, Signal::SIGKILL)?;
        // On a busy machine that takes a moment, in which a hook would still find it.
        leaves(process);
    }
    for stray in session_members(pid).unwrap_or_default() {
        // One that ends in this moment is fine.
        let _ = stray.kill();
    }
    Ok(format!("ended supervisor {pid}"))
}

/// Waits for its end; whether it came in time.
fn leaves(process: Process) -> bool {
    let deadline = Instant::now() + LEAVING;
    while process.is_alive() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    !process.is_alive()
}

fn is_leader(process: Process) -> bool {
    nix::unistd::getpgid(Some(Pid::from_raw(process.pid())))
        .is_ok_and(|group| group.as_raw() == process.pid())
}

fn signal_group(leader: i32, signal: Signal) -> Result<(), String> {
    match killpg(Pid::from_raw(leader), signal) {
        Ok(()) | Err(nix::Error::ESRCH) => Ok(()),
        Err(errno) => Err(format!("signal {leader}: {errno}")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_that_leads_nobody_is_ended_alone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        end(process).unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(end(process).unwrap().contains("by itself"));
    }

    #[test]
    fn a_leader_that_does_not_leave_is_killed_and_gone_on_return() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "trap '' TERM; echo ready; sleep 60; :"]).process_group(0);
        let mut child = shell.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = [0; 6];
        child.stdout.take().unwrap().read_exact(&mut said).unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        end(process).unwrap();
        assert!(!process.is_alive());
        child.wait().unwrap();
    }
}

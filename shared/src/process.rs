//! A process as the kernel identifies it: a pid together with its start time.
//!
//! A bare pid may belong to somebody else a moment later; the pair cannot. Signals go through a
//! pidfd opened first and checked afterwards, so nothing is hit that took the number over.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process that existed when this was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    pid: i32,
    started: u64,
}

impl Process {
    /// Identifies a running process; `ESRCH` when there is none or `pid` is not positive.
    pub fn of(pid: i32) -> io::Result<Self> {
        Ok(Self { pid, started: stat(pid)?.started })
    }

    pub fn current() -> io::Result<Self> {
        Self::of(std::process::id() as i32)
    }

    /// As another process wrote it down: `pid` and start time in clock ticks since boot.
    pub fn recorded(pid: i32, started: u64) -> Self {
        Self { pid, started }
    }

    pub fn pid(self) -> i32 {
        self.pid
    }

    pub fn started(self) -> u64 {
        self.started
    }

    /// Whether it still runs; a zombie does not.
    pub fn is_alive(self) -> bool {
        stat(self.pid).is_ok_and(|now| now.started == self.started && !now.is_zombie())
    }

    /// A pidfd (pidfd_open(2)) that readably ends with this very process.
    pub fn open(self) -> io::Result<OwnedFd> {
        let pid = rustix::process::Pid::from_raw(self.pid).ok_or_else(gone)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        // Checked after opening: from here on the number cannot be reused under the descriptor.
        if Self::of(self.pid)? != self {
            return Err(gone());
        }
        Ok(pidfd)
    }

    /// Sends SIGKILL to this process and no other.
    pub fn kill(self) -> io::Result<()> {
        Ok(pidfd_send_signal(self.open()?, Signal::KILL)?)
    }

    /// Its argument vector, from proc_pid_cmdline(5).
    pub fn arguments(self) -> io::Result<Vec<Vec<u8>>> {
        let line = std::fs::read(proc_file(self.pid, "cmdline"))?;
        Ok(line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect())
    }
}

/// Every process of session `leader`, except the leader.
pub fn session_members(leader: i32) -> io::Result<Vec<Process>> {
    let members = std::fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != leader)
        .filter_map(|pid| {
            let stat = stat(pid).ok()?;
            (stat.session == leader && !stat.is_zombie())
                .then_some(Process { pid, started: stat.started })
        })
        .collect();
    Ok(members)
}

struct Stat {
    state: u8,
    session: i32,
    started: u64,
}

impl Stat {
    fn is_zombie(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

fn stat(pid: i32) -> io::Result<Stat> {
    if pid <= 0 {
        return Err(gone());
    }
    let line = std::fs::read(proc_file(pid, "stat"))?;
    parse_stat(&line).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is not readable")))
}

/// proc_pid_stat(5): the second field is the command in parentheses and may hold anything, so
/// fields are counted from the last parenthesis: state is 3, session 6, start time 22.
fn parse_stat(line: &[u8]) -> Option<Stat> {
    let end = line.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(line.get(end + 2..)?).ok()?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        state: *fields.first()?.as_bytes().first()?,
        session: fields.get(3)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

fn proc_file(pid: i32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

fn gone() -> io::Error {
    io::Error::from_raw_os_error(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_and_blanks_does_not_shift_the_fields() {
        let line = b"7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20\n";
        let stat = parse_stat(line).unwrap();
        assert_eq!((stat.state, stat.session, stat.started), (b'S', 3, 4242));
        assert!(parse_stat(b"garbage").is_none());
    }

    #[test]
    fn a_reused_number_is_another_process() {
        let me = Process::current().unwrap();
        assert!(me.is_alive());
        let earlier = Process::recorded(me.pid(), me.started() - 1);
        assert!(!earlier.is_alive());
        assert_eq!(earlier.open().unwrap_err().raw_os_error(), Some(libc::ESRCH));
    }

    #[test]
    fn a_pid_that_is_not_positive_is_nobody() {
        for pid in [0, -1, i32::MIN] {
            assert!(Process::of(pid).is_err());
            assert!(!Process::recorded(pid, 0).is_alive());
        }
    }
}

//! One `git http-backend` process and all that it starts: begun in a process group of its own, and
//! ended as a group, also when its leader was ended by somebody else: what it started keeps its
//! pipes, and would keep a client waiting.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::{ExitStatus, Stdio};
use std::rc::Rc;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, Interest};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::cgi::Variable;
use crate::environment::Environment;
use crate::git::Git;
use crate::news::NEWS_FD;

/// How long git may take to remove its lock files before it is killed.
const CLEAN_UP: Duration = Duration::from_millis(250);
/// How long a backend may live on after it closed its output.
const LAST_WORK: Duration = Duration::from_secs(30);
/// What a pipe to or from git holds: the more, the less often it and the gate wait for each other.
/// The most that a process without rights may ask for (pipe(7), "Pipe capacity").
const PIPE: i32 = 1024 * 1024;
/// How much of one backend's complaints goes to the log.
const MAX_COMPLAINT: usize = 8 * 1024;

/// Dropping it, as happens when the gate ends, still ends the group.
#[derive(Debug)]
pub(crate) struct Backend {
    child: Child,
    group: Group,
    leader: Leader,
    /// Ends what the leader leaves behind. It must be gone when the leader is waited for, since the
    /// group's number may be somebody else's then.
    survivors: JoinSet<()>,
}

#[derive(Clone, Copy, Debug)]
struct Group(Pid);

/// A pidfd: tells when the process ends, and leaves it to be waited for (pidfd_open(2)).
#[derive(Clone, Debug)]
struct Leader(Rc<AsyncFd<OwnedFd>>);

/// The two ends the gate holds: what git reads (for a request with a body) and what it says.
#[derive(Debug)]
pub(crate) struct Pipes {
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: ChildStdout,
}

impl Backend {
    /// Starts `git http-backend` with nothing in its environment but what is given here; its hooks
    /// find `news` at a fixed number.
    pub(crate) fn spawn(
        git: &Git,
        environment: &Environment,
        request: &[Variable],
        with_body: bool,
        news: Option<OwnedFd>,
    ) -> io::Result<(Self, Pipes)> {
        let mut command = Command::new(git.backend());
        if let Some(parent_fd) = news {
            let mapping = vec![FdMapping { parent_fd, child_fd: NEWS_FD }];
            command.as_std_mut().fd_mappings(mapping).expect("one mapping collides with none");
        }
        let mut child = command
            .env_clear()
            .envs(environment.variables())
            .envs(request.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(if with_body { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).expect("it was not waited for");
        let stdout = child.stdout.take().expect("its standard output is a pipe");
        let pipes = Pipes { stdin: child.stdin.take(), stdout };
        widen(&pipes.stdout);
        if let Some(stdin) = &pipes.stdin {
            widen(stdin);
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::task::spawn_local(log(stderr));
        }
        let group = Group(Pid::from_raw(id));
        let leader = Leader::watch(id).inspect_err(|_| group.signal(Signal::SIGKILL))?;
        let mut survivors = JoinSet::new();
        survivors.spawn_local(end_survivors(leader.clone(), group));
        Ok((Self { child, group, leader, survivors }, pipes))
    }

    /// Waits for the end of a backend that has said its last word.
    pub(crate) async fn finish(mut self) -> io::Result<ExitStatus> {
        let _ = timeout(LAST_WORK, self.leader.ended()).await;
        self.group.signal(Signal::SIGKILL);
        self.survivors.shutdown().await;
        self.child.wait().await
    }

    /// Ends the group now: git gets a moment to remove its lock files, no more.
    pub(crate) async fn stop(self) {
        self.group.signal(Signal::SIGTERM);
        sleep(CLEAN_UP).await;
        self.group.signal(Signal::SIGKILL);
        if let Err(why) = self.finish().await {
            log::error!("wait for a killed backend: {why}");
        }
    }
}

impl Group {
    /// Only while its leader has not been waited for: until then the number cannot belong to
    /// anybody else.
    fn signal(self, signal: Signal) {
        if let Err(why) = killpg(self.0, signal) {
            log::debug!("signal backend {}: {why}", self.0);
        }
    }
}

impl Leader {
    fn watch(id: i32) -> io::Result<Self> {
        let id = rustix::process::Pid::from_raw(id).expect("a child has a number above 0");
        let pidfd = pidfd_open(id, PidfdFlags::empty())?;
        Ok(Self(Rc::new(awaited(pidfd)?)))
    }

    async fn ended(&self) {
        if let Err(why) = self.0.readable().await {
            log::error!("watch a backend: {why}");
        }
    }
}

// Its successor is `unsafe` for types that lend out changing descriptors; an `OwnedFd` lends out one.
#[expect(deprecated, reason = "the successor needs `unsafe`")]
fn awaited(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}

/// `git http-backend` waits for what it starts, so whatever outlives it has lost it to a signal.
async fn end_survivors(leader: Leader, group: Group) {
    leader.ended().await;
    group.signal(Signal::SIGTERM);
    sleep(CLEAN_UP).await;
    group.signal(Signal::SIGKILL);
}

/// A user who has many pipes gets small ones, which do as well, only slower.
fn widen(pipe: &impl AsFd) {
    if let Err(why) = fcntl(pipe, FcntlArg::F_SETPIPE_SZ(PIPE)) {
        log::debug!("widen a pipe: {why}");
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if self.child.id().is_some() {
            self.group.signal(Signal::SIGTERM);
        }
    }
}

/// Copies what git complains about to our log, line by line and no more than a few kilobytes; the
/// rest is read and dropped, so that git never waits for a reader.
async fn log(mut stderr: ChildStderr) {
    let mut room = MAX_COMPLAINT;
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut buffer).await {
        let said = &buffer[..length.min(room)];
        room -= said.len();
        for line in said.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            log::info!("git: {}", printable(line));
        }
    }
}

/// A client has a say in git's words: nothing of it may move a terminal's cursor or fake a line.
fn printable(line: &[u8]) -> String {
    String::from_utf8_lossy(line).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_log() {
        assert_eq!(printable(b"a\x1b[2Jb\rc\xff"), "a?[2Jb?c\u{fffd}");
    }
}

//! A broker process between a keeper, an upstream and clients that the test plays.

mod client;
mod keeper;
mod logins;
mod upstream;

pub(crate) use client::{Client, Response};
pub(crate) use keeper::{Keeper, Scripted};
pub(crate) use logins::Stored;
pub(crate) use upstream::Upstream;

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use terok_shared::handover::{
    AUDIT_FD, BrokerSlice, Common, FIRST_STRAY_FD, LINE_FD, LISTENER_FD, READY_FD, Slice,
};
use terok_shared::sys::descriptors;

/// A token every `Keeper` of the tests grants, for provider `p`.
pub(crate) const TOKEN: &str = "terok-p-00112233445566778899aabbccddeeff";
/// What it stands for.
pub(crate) const REAL: &str = "real-credential-5f4dcc3b";

pub(crate) struct Broker {
    child: Child,
    directory: tempfile::TempDir,
    pub(crate) keeper: Keeper,
}

impl Broker {
    /// With one route, `p`, to this upstream.
    pub(crate) fn to(upstream: &Upstream) -> Self {
        Self::start(&format!(r#"{{"p": {{"upstream": "{}"}}}}"#, upstream.url()))
    }

    /// With these routes, and a keeper that knows `TOKEN`.
    pub(crate) fn start(routes: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("routes.json"), routes).unwrap();
        Self::start_in(directory)
    }

    /// With what is in this directory.
    pub(crate) fn start_in(directory: tempfile::TempDir) -> Self {
        let (broker, ready) = Self::spawn_in(directory);
        assert!(ready, "not ready: {}", broker.log());
        broker
    }

    /// The exit status of one that cannot start with these routes, and its log.
    pub(crate) fn failing(routes: &str) -> (Option<i32>, String) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("routes.json"), routes).unwrap();
        let (mut broker, ready) = Self::spawn_in(directory);
        assert!(!ready);
        (broker.child.wait().unwrap().code(), broker.log())
    }

    fn spawn_in(directory: tempfile::TempDir) -> (Self, bool) {
        let reserved = descriptors::reserve_up_to(FIRST_STRAY_FD).unwrap();
        let socket = UnixListener::bind(directory.path().join("vault.sock")).unwrap();
        let (keepers, brokers) = vault_grant::pair().unwrap();
        let audit = OpenOptions::new()
            .create(true)
            .append(true)
            .open(directory.path().join("audit.jsonl"))
            .unwrap();
        let log = File::create(directory.path().join("log")).unwrap();
        let (mut ready, readied) = std::io::pipe().unwrap();
        let map = |parent_fd: OwnedFd, child_fd| FdMapping { parent_fd, child_fd };
        let mut child = Command::new(env!("CARGO_BIN_EXE_terok-token-broker"))
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .fd_mappings(vec![
                map(readied.into(), READY_FD),
                map(socket.into(), LISTENER_FD),
                map(brokers, LINE_FD),
                map(audit.into(), AUDIT_FD),
            ])
            .unwrap()
            .spawn()
            .unwrap();
        drop(reserved);
        let slice = Slice {
            common: Common {
                parent_pid: i32::try_from(std::process::id()).unwrap(),
                allow_debugger: false,
                container_name: "web".into(),
                leave_after: None,
            },
            service: BrokerSlice { routes_path: directory.path().join("routes.json") },
        };
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&serde_json::to_vec(&slice).unwrap()).unwrap();
        drop(stdin);
        let mut said = Vec::new();
        ready.read_to_end(&mut said).unwrap();
        (Self { child, directory, keeper: Keeper::on(keepers) }, said == b"R")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.path("vault.sock"))
    }

    /// One GET with `TOKEN` on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.connect().get(path)
    }

    /// What the broker logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap()
    }

    /// The audit's lines, once there are `count` of them.
    pub(crate) fn audit(&self, count: usize) -> Vec<serde_json::Value> {
        let read = || -> Vec<serde_json::Value> {
            let text = std::fs::read_to_string(self.path("audit.jsonl")).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        eventually("audit lines", || read().len() >= count);
        read()
    }

    /// The memory the process holds now, in kB, without the program file's own pages.
    pub(crate) fn anonymous_kb(&self) -> u64 {
        self.status_kb("RssAnon:")
    }

    /// All memory the process has in use now, in kB.
    pub(crate) fn rss_kb(&self) -> u64 {
        self.status_kb("VmRSS:")
    }

    fn status_kb(&self, key: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// SIGTERM, as the parent sends it.
    pub(crate) fn terminate(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }

    /// The exit status, once it has ended.
    pub(crate) fn status(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Replaces a file of the broker's directory in one step.
    pub(crate) fn replace(&self, name: &str, text: &str) {
        let new = self.path("new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.path(name)).unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let audit = std::fs::read_to_string(self.path("audit.jsonl")).unwrap_or_default();
        let told = self.log() + &audit;
        if !std::thread::panicking() {
            assert!(!told.contains(REAL), "the credential is in a log: {told}");
            assert!(!told.contains(TOKEN), "a token is in a log: {told}");
        }
    }
}

/// Waits until `holds`, at most ten seconds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn routes_with(upstream: &str, more: &str) -> String {
    format!(r#"{{"p": {{"upstream": "{upstream}", {more} "end": 0}}}}"#)
}

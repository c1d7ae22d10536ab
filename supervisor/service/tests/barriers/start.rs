//! Starts the example service the way the parent starts a service, or dirtier, and reads what it
//! says.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write, pipe};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use serde_json::{Value, json};
use terok_shared::handover::{FIRST_STRAY_FD, LISTENER_FD, READY_FD};
use terok_shared::sys::descriptors;

/// The strays' numbers, beside those a service may inherit.
pub(crate) const STRAYS: [i32; 3] = [FIRST_STRAY_FD, FIRST_STRAY_FD + 1, 40];

/// What to start, how, and with what on standard input.
pub(crate) struct Start {
    pub(crate) slice: Value,
    allow_debugger: bool,
    parent: Option<i32>,
    through: Vec<String>,
    listener: Option<OwnedFd>,
    stray: Option<PathBuf>,
    dirty: bool,
}

/// A deed tried in a lane, both in the example's words.
pub(crate) fn deed(deed: Value) -> Start {
    in_lane(json!({}), deed)
}

pub(crate) fn in_lane(mut lane: Value, deed: Value) -> Start {
    lane["deed"] = deed;
    Start {
        slice: lane,
        allow_debugger: false,
        parent: None,
        through: Vec::new(),
        listener: None,
        stray: None,
        dirty: false,
    }
}

impl Start {
    pub(crate) fn allow_debugger(mut self) -> Self {
        self.allow_debugger = true;
        self
    }

    /// The parent's pid as the slice has it, when it is not the truth.
    pub(crate) fn with_parent(mut self, pid: i32) -> Self {
        self.parent = Some(pid);
        self
    }

    /// A program and its arguments that start the service in turn.
    pub(crate) fn through(mut self, words: &[&str]) -> Self {
        self.through.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    pub(crate) fn listening_on(mut self, listener: impl Into<OwnedFd>) -> Self {
        self.listener = Some(listener.into());
        self
    }

    /// Signals blocked and ignored, core files allowed, no umask, capabilities inheritable.
    pub(crate) fn dirty(mut self) -> Self {
        self.dirty = true;
        self.through(&["/bin/sh", "-c", "trap '' TERM HUP USR1 ALRM; exec \"$@\"", "sh"])
    }

    /// With `file` open at numbers the service was never promised.
    pub(crate) fn with_strays(mut self, file: &Path) -> Self {
        self.stray = Some(file.to_owned());
        self
    }

    pub(crate) fn start(self) -> Started {
        let mut words = self.through;
        words.push(example().to_str().unwrap().to_owned());
        words.extend(self.dirty.then(|| "dirty".to_owned()));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::piped());

        let (ready, say_ready) = pipe().unwrap();
        let mut mappings = vec![FdMapping { parent_fd: say_ready.into(), child_fd: READY_FD }];
        mappings.extend(
            self.listener.map(|socket| FdMapping { parent_fd: socket, child_fd: LISTENER_FD }),
        );
        if let Some(path) = &self.stray {
            mappings.extend(STRAYS.map(|number| FdMapping {
                parent_fd: File::open(path).unwrap().into(),
                child_fd: number,
            }));
        }
        // The standard library's own pipe must not sit on a number that is about to be given.
        let reserved = descriptors::reserve_up_to(STRAYS[2]).unwrap();
        let mut child = command.fd_mappings(mappings).unwrap().spawn().unwrap();
        drop((command, reserved));

        let parent = self.parent.unwrap_or_else(|| {
            // Started through another program that waits, the service's parent is that one.
            std::process::id().try_into().unwrap()
        });
        let parent = if parent == THE_STARTED { child.id() as i32 } else { parent };
        let slice = json!({
            "common": {
                "parent_pid": parent,
                "allow_debugger": self.allow_debugger,
                "container_name": "web",
            },
            "service": self.slice,
        });
        // A service that refused to live has closed its end.
        let _ = child.stdin.take().unwrap().write_all(slice.to_string().as_bytes());
        let said = BufReader::new(child.stdout.take().unwrap());
        Started { child, ready: File::from(OwnedFd::from(ready)), said }
    }

    /// The one line it says before it ends well.
    pub(crate) fn outcome(self) -> Value {
        let mut started = self.start();
        let outcome = started.line();
        let (status, log) = started.end();
        assert_eq!(status.code(), Some(0), "{log}");
        outcome
    }

    pub(crate) fn report(self) -> Value {
        self.outcome()["Report"].take()
    }
}

/// Stands for the pid of the program that `through` names.
pub(crate) const THE_STARTED: i32 = -1;

/// A running service, killed when the test is done with it.
pub(crate) struct Started {
    pub(crate) child: Child,
    pub(crate) ready: File,
    said: BufReader<ChildStdout>,
}

impl Started {
    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits for the ready byte; false when the service ended without.
    pub(crate) fn is_ready(&mut self) -> bool {
        let mut byte = [0];
        self.ready.read(&mut byte).unwrap() == 1 && byte == *b"R"
    }

    pub(crate) fn line(&mut self) -> Value {
        let mut line = String::new();
        self.said.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| {
            let (status, log) = self.end();
            panic!("said {line:?} and ended with {status}: {log}")
        })
    }

    /// Waits for its end: the exit status and its log.
    pub(crate) fn end(&mut self) -> (ExitStatus, String) {
        let status = eventually("the service ends", || self.child.try_wait().unwrap());
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        (status, log)
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again until there is an answer; fails after five seconds.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        if let Some(answer) = ask() {
            return answer;
        }
        thread::sleep(Duration::from_millis(2));
    }
    panic!("waited 5 s in vain: {what}");
}

/// Cargo builds examples beside the directory of test programs.
fn example() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let built = here.parent().and_then(Path::parent).unwrap().join("examples/barred");
    assert!(built.exists(), "{} is missing: build with `--examples`", built.display());
    built
}

/// A field of /proc/<pid>/status in hexadecimal, as masks are.
pub(crate) fn mask(status: &str, field: &str) -> u64 {
    u64::from_str_radix(text(status, field), 16).unwrap()
}

pub(crate) fn number(status: &str, field: &str) -> u64 {
    text(status, field).parse().unwrap()
}

fn text<'s>(status: &'s str, field: &str) -> &'s str {
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {field} in {status}")).trim()
}

//! The hook called as crun and runc call it, from what was captured of real ones: environment,
//! blocked and ignored signals, working directory, standard streams, state; and with a descriptor
//! that a careless runtime leaves open.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use serde_json::Value;
use terok_shared::annotation;

use crate::container::Container;
use crate::fixtures;
use crate::house::House;
use crate::programs;

/// Longest any hook may take here; the hook's own bound is 2 s.
const PATIENCE: Duration = Duration::from_secs(8);

/// Where the hook finds a descriptor that nobody closed.
const STRAY_FD: i32 = 9;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runtime {
    /// Blocks every signal; hooks write to /dev/null.
    Crun,
    /// Waits for the end of the hook's standard output and standard error.
    Runc,
}

impl Runtime {
    pub const ALL: [Self; 2] = [Self::Crun, Self::Runc];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    CreateRuntime,
    Prestart,
    Poststop,
}

/// What came of one call of the hook.
#[derive(Debug)]
pub struct HookRun {
    pub status: ExitStatus,
    /// What it said to the runtime; empty where that was /dev/null.
    pub said: String,
    /// Until its end and, where the runtime waits for that, the end of its output.
    pub took: Duration,
}

/// The state as captured from this runtime, with this container in it.
pub fn state(container: &Container<'_>, runtime: Runtime, stage: Stage) -> Value {
    let mut state = captured(runtime, stage, "state");
    state["id"] = container.id().as_str().into();
    if state.get("pid").is_some() {
        state["pid"] = container.pid().into();
    }
    state["bundle"] = container.house().bundle().to_str().unwrap().into();
    state["annotations"][annotation::KEY] = container.sidecar().to_str().unwrap().into();
    state
}

/// Runs the hook and waits for it as the runtime does.
pub fn run_hook(house: &House, runtime: Runtime, stage: Stage, state: &[u8]) -> HookRun {
    let facts = captured(runtime, stage, "proc");
    let mut command = caller(house, &facts);
    command
        .arg(house.programs().path(programs::HOOK))
        .arg(stage.argument())
        .arg("--state-root")
        .arg(house.state_root().path());
    let piped = facts["fds"]["1"] != "/dev/null";
    let output = || if piped { Stdio::piped() } else { Stdio::null() };
    command.stdin(Stdio::piped()).stdout(output()).stderr(output());
    let began = Instant::now();
    let output = finish(command, state.to_vec());
    HookRun {
        status: output.status,
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: began.elapsed(),
    }
}

/// env(1) sets the signals a runtime leaves to its hooks; setpriv(1) changes the user.
fn caller(house: &House, facts: &Value) -> Command {
    let mut command = Command::new("/usr/bin/env");
    for (option, field) in [("--block-signal", "SigBlk"), ("--ignore-signal", "SigIgn")] {
        let numbers = numbers(facts["status"][field].as_str().expect("a mask"));
        // Without numbers the option would mean all signals.
        if !numbers.is_empty() {
            command.arg(format!("{option}={numbers}"));
        }
    }
    command.env_clear().current_dir(house.bundle());
    for (name, value) in facts["env"].as_object().expect("an environment") {
        command.env(name, value.as_str().expect("a string"));
    }
    if let Some(uid) = house.operator() {
        command
            .args(["/usr/bin/setpriv", "--clear-groups"])
            .arg(format!("--reuid={uid}"))
            .arg(format!("--regid={uid}"));
    }
    // A runtime and its hooks share a process group that is not ours.
    command.process_group(0);
    let stray = File::open(house.stray_file()).unwrap().into();
    command.fd_mappings(vec![FdMapping { parent_fd: stray, child_fd: STRAY_FD }]).unwrap();
    command
}

fn finish(mut command: Command, input: Vec<u8>) -> Output {
    let mut hook = command.spawn().unwrap();
    let mut stdin = hook.stdin.take().expect("its input is a pipe");
    // A hook that has read enough closes its end.
    thread::spawn(move || stdin.write_all(&input));
    let (done, wait) = mpsc::channel();
    thread::spawn(move || done.send(hook.wait_with_output()));
    wait.recv_timeout(PATIENCE).expect("the hook and its output end in time").unwrap()
}

/// The signals in a mask of proc_pid_status(5), but for those nobody can block.
fn numbers(mask: &str) -> String {
    let mask = u64::from_str_radix(mask, 16).unwrap();
    let settable = |signal: &u32| !matches!(signal, 9 | 19 | 32 | 33);
    let numbers = (1..=64).filter(|signal| mask >> (signal - 1) & 1 == 1).filter(settable);
    numbers.map(|signal| signal.to_string()).collect::<Vec<_>>().join(",")
}

fn captured(runtime: Runtime, stage: Stage, kind: &str) -> Value {
    let who = if nix::unistd::geteuid().is_root() { "rootful" } else { "rootless" };
    let runtime = match runtime {
        Runtime::Crun => "crun",
        Runtime::Runc => "runc",
    };
    let stage = match stage {
        Stage::CreateRuntime | Stage::Prestart => "createRuntime",
        Stage::Poststop => "poststop",
    };
    fixtures::json(&format!("oci/{who}-{runtime}.{stage}.{kind}.json"))
}

impl Stage {
    fn argument(self) -> &'static str {
        match self {
            Self::CreateRuntime => "createRuntime",
            Self::Prestart => "prestart",
            Self::Poststop => "poststop",
        }
    }
}

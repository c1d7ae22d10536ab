//! What may happen to a container: everything that kills, restarts or starves it, drawn by lot.

use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use terok_shared::process::Process;
use terok_shared::service::Service;
use terok_tests::eventually::{eventually, found};
use terok_tests::tree::Tree;

use super::dice::Dice;
use super::subject::Subject;
use crate::container::processes_naming;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Blow {
    KillService,
    KillTwoServices,
    KillParent,
    KillConmon,
    KillContainer,
    StopAndStart,
    Restart,
    TwoHooks,
    FullDisk,
    ClockJump,
}

/// How often of all: services are many, and a killed one is quickly asked for.
const LOT: [(Blow, usize); 10] = [
    (Blow::KillService, 36),
    (Blow::KillTwoServices, 12),
    (Blow::KillParent, 10),
    (Blow::KillConmon, 5),
    (Blow::KillContainer, 5),
    (Blow::StopAndStart, 7),
    (Blow::Restart, 8),
    (Blow::TwoHooks, 7),
    (Blow::FullDisk, 5),
    (Blow::ClockJump, 5),
];

/// Far enough for every grace period, each way, and a clock that never was set.
const JUMPS: [&str; 4] = ["now + 40 days", "now - 40 days", "2100-01-01", "1970-01-02"];

impl Blow {
    pub(super) fn drawn(dice: &mut Dice) -> Self {
        let mut left = dice.below(LOT.iter().map(|(_, weight)| weight).sum());
        for (blow, weight) in LOT {
            if left < weight {
                return blow;
            }
            left -= weight;
        }
        unreachable!("less than all weights together")
    }

    /// Does it, and what an operator does next where something cannot mend itself.
    pub(super) fn strike(self, subject: &mut Subject<'_>, dice: &mut Dice) {
        match self {
            Self::KillService => kill_service(subject, dice),
            Self::KillTwoServices => {
                kill_service(subject, dice);
                kill_service(subject, dice);
            }
            Self::KillParent => {
                kill_parent(subject);
                bring_back(subject, dice);
            }
            Self::KillConmon => {
                if subject.has_conmon {
                    conmon(subject).kill().unwrap();
                    subject.has_conmon = false;
                }
            }
            Self::KillContainer => end_and_start(subject, &["kill", "--signal", "KILL"]),
            Self::StopAndStart => end_and_start(subject, &["stop", "--time", "0"]),
            Self::Restart => restart(subject),
            Self::TwoHooks => two_hooks(subject, dice),
            Self::FullDisk => full_disk(subject, dice),
            Self::ClockJump => {
                let socket_directory = subject.socket_directory();
                subject.place.disk.move_times(&socket_directory, dice.one_of(&JUMPS));
                // Whatever it finds old, it must leave what is in use alone.
                subject.place.terokctl(&["doctor", "--fix"]);
            }
        }
    }
}

/// On demand it may be asleep: then there is nobody to kill.
fn kill_service(subject: &Subject<'_>, dice: &mut Dice) {
    if let Some(service) = subject.service(dice.one_of(&Service::ALL)) {
        // It may end by itself in this moment.
        let _ = service.kill();
    }
}

fn kill_parent(subject: &Subject<'_>) {
    let Some(parent) = subject.supervisor() else { return };
    let _ = parent.kill();
    eventually("the services go with their parent", || Tree { parent }.is_gone());
}

/// The three ways there are.
fn bring_back(subject: &mut Subject<'_>, dice: &mut Dice) {
    match dice.below(3) {
        0 => restart(subject),
        1 => drop(subject.place.terokctl_ok(&["respawn", subject.name])),
        // Its exit status speaks of the whole machine.
        _ => drop(subject.place.terokctl(&["doctor", "--fix"])),
    }
}

/// podman cannot start again what has lost its conmon.
fn end_and_start(subject: &mut Subject<'_>, words: &[&str]) {
    if !subject.has_conmon {
        return recreate(subject);
    }
    subject.podman_ok(words);
    if words[0] == "kill" {
        // The signal is sent, not waited for; `podman wait` would not wait for the clean-up.
        subject.podman(&["wait"]);
    }
    subject.podman_ok(&["start"]);
}

fn restart(subject: &mut Subject<'_>) {
    if !subject.has_conmon {
        return recreate(subject);
    }
    subject.podman_ok(&["restart", "--time", "0"]);
}

fn recreate(subject: &mut Subject<'_>) {
    subject.podman_ok(&["rm", "--force", "--time", "0"]);
    subject.create();
}

fn conmon(subject: &Subject<'_>) -> Process {
    let is_it = |line: &[u8]| {
        let text = String::from_utf8_lossy(line);
        let program = text.split('\0').next().unwrap_or_default();
        program.ends_with("/conmon") && text.contains(subject.id.as_str())
    };
    found("the container's conmon", || {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let pid = pids.find(|pid: &i32| {
            fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| is_it(&line))
        })?;
        Process::of(pid).ok()
    })
}

/// Two starts, or a start and a late end of the run before, at the same time; with the supervisor
/// alive or killed. at most one supervisor comes of it.
fn two_hooks(subject: &Subject<'_>, dice: &mut Dice) {
    if dice.below(2) == 0 {
        kill_parent(subject);
    }
    let stages = dice.one_of(&[
        ["createRuntime", "createRuntime"],
        ["createRuntime", "poststop"],
        ["poststop", "createRuntime"],
    ]);
    let hooks = stages.map(|stage| hook(subject, stage));
    for hook in hooks {
        let output = hook.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let supervisors = || {
        let all = processes_naming(subject.id.as_str());
        all.into_iter().filter(|line| line.contains("terok-supervisor")).collect::<Vec<_>>()
    };
    eventually(&format!("one supervisor: {:?}", supervisors()), || supervisors().len() <= 1);
    assert_eq!(subject.supervisor().is_some(), !supervisors().is_empty(), "the pid file tells");
}

fn hook(subject: &Subject<'_>, stage: &str) -> Child {
    let operator = subject.place.operator;
    let mut command = Command::new("podman");
    command
        .arg("unshare")
        .arg(operator.state_root().programs().join("terok-hook"))
        .args([stage, "--state-root"])
        .arg(subject.place.root.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    stdin.write_all(subject.state().as_bytes()).unwrap();
    child
}

/// While nothing can be written the container starts, is restarted, or loses a process; afterwards
/// there is room again.
fn full_disk(subject: &mut Subject<'_>, dice: &mut Dice) {
    if !subject.place.disk.is_small() {
        return;
    }
    let _full = subject.place.disk.fill();
    match dice.below(3) {
        0 => kill_service(subject, dice),
        1 => restart(subject),
        _ => {
            kill_parent(subject);
            // It may fail now; the cycle's end tries again.
            subject.place.terokctl(&["respawn", subject.name]);
        }
    }
}

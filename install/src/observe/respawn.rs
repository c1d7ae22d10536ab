//! `terokctl respawn`: brings the whole tree back for a container that still runs.
//!
//! Nothing is started in a way of its own: terok-hook gets the state it would get from the runtime,
//! in the namespace it would run in, and does what it does at every start. A supervisor that lives
//! is left alone by it; one with a service that it has stopped starting is ended first.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::geteuid;
use serde_json::json;
use terok_shared::annotation::{self, PathError, SidecarPath};
use terok_shared::container::{ContainerId, IdError};
use terok_shared::layout::StateRoot;
use terok_shared::pid_file;
use terok_shared::sibling::{self, SiblingError};

use super::known::{self, Known};
use super::podman::{AskError, Podman};
use super::tree;
use crate::Failure;
use crate::cli::observe::RespawnArgs;
use crate::directories::Directories;
use crate::output::{print, print_json, remark};
use crate::setup::HOOK;

/// The hook waits 2 s at most, then the supervisor may still be on its way.
const PATIENCE: Duration = Duration::from_secs(3);

/// A running container that is to be served.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    id: ContainerId,
    /// Its init, in the host's numbering.
    pid: i32,
    sidecar: SidecarPath,
}

#[derive(Debug)]
pub(super) enum RespawnError {
    Podman(AskError),
    Files(io::Error),
    Unknown(String),
    NotRunning(String),
    NotOurs(String),
    Id(IdError),
    Path(PathError),
    Program(SiblingError),
    /// The supervisor whose services have failed does not go.
    End(String),
    Hook {
        program: PathBuf,
        why: io::Error,
    },
    /// The hook ended, in these words, and nobody serves.
    NotServing(String),
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Back {
    WasThere(i32),
    Started(i32),
}

pub(crate) fn run(directories: &Directories, args: &RespawnArgs) -> Result<(), Failure> {
    let back = bring_back(directories, args.name.as_str())?;
    let (pid, started) = match back {
        Back::WasThere(pid) => (pid, false),
        Back::Started(pid) => (pid, true),
    };
    if args.json {
        print_json(&json!({ "name": args.name.as_str(), "pid": pid, "started": started }))?;
    } else if started {
        print(&format!("supervisor {pid} serves {} again", args.name))?;
    } else {
        print(&format!("supervisor {pid} serves {}; nothing to do", args.name))?;
    }
    Ok(())
}

/// Starts a supervisor for the running container `name`, unless one lives.
pub(super) fn bring_back(directories: &Directories, name: &str) -> Result<Back, RespawnError> {
    let podman = Podman::on_path();
    let target = target(directories, podman.as_ref(), name)?;
    let root = StateRoot::new(target.sidecar.state_root());
    let pid_file = root.pid_file(&target.id);
    if let Some(living) = pid_file::living(&pid_file, &target.id) {
        if !has_failed_services(directories, &target.id)? {
            return Ok(Back::WasThere(living.supervisor.pid()));
        }
        tree::end(living.supervisor).map_err(RespawnError::End)?;
    }
    let said = run_hook(directories, podman.as_ref(), &target)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(living) = pid_file::living(&pid_file, &target.id) {
            return Ok(Back::Started(living.supervisor.pid()));
        }
        if Instant::now() > deadline {
            return Err(RespawnError::NotServing(said));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn has_failed_services(directories: &Directories, id: &ContainerId) -> Result<bool, RespawnError> {
    let known = known::one(&directories.state, id.as_str()).map_err(RespawnError::Files)?;
    Ok(known.is_some_and(|known| known.failed().next().is_some()))
}

/// podman knows best; for containers of other engines the dead supervisor's own file tells.
fn target(
    directories: &Directories,
    podman: Option<&Podman>,
    name: &str,
) -> Result<Target, RespawnError> {
    let inspected = podman.map(|podman| podman.inspect(name)).transpose();
    let inspected = inspected.map_err(RespawnError::Podman)?.flatten();
    if let Some(inspected) = inspected {
        let named = || name.to_owned();
        let pid = inspected.pid.ok_or_else(|| RespawnError::NotRunning(named()))?;
        let sidecar = inspected.sidecar.ok_or_else(|| RespawnError::NotOurs(named()))?;
        return Ok(Target {
            id: ContainerId::parse(&inspected.id).map_err(RespawnError::Id)?,
            pid,
            sidecar: SidecarPath::parse(&sidecar).map_err(RespawnError::Path)?,
        });
    }
    let known = known::one(&directories.state, name).map_err(RespawnError::Files)?;
    match known {
        Some(known) => of_files(directories, &known),
        None => Err(RespawnError::Unknown(name.to_owned())),
    }
}

fn of_files(directories: &Directories, known: &Known) -> Result<Target, RespawnError> {
    let run = known.runs.iter().find_map(|run| Some((run, run.container?)));
    let (run, container) = run.ok_or_else(|| RespawnError::NotRunning(known.name.clone()))?;
    let path = directories.state.sidecars().join(format!("{}.json", known.name));
    Ok(Target {
        id: run.id.clone(),
        pid: container.pid(),
        sidecar: SidecarPath::parse(&path.to_string_lossy()).map_err(RespawnError::Path)?,
    })
}

/// Runs the hook; what it said.
fn run_hook(
    directories: &Directories,
    podman: Option<&Podman>,
    target: &Target,
) -> Result<String, RespawnError> {
    let program = hook(directories)?;
    let mut command = match podman {
        // The namespace in which the operator's files are root's, and which the container's own
        // namespaces belong to.
        Some(podman) if !geteuid().is_root() => {
            let mut command = podman.unshare();
            command.arg(&program);
            command
        }
        _ => Command::new(&program),
    };
    command
        .args(["createRuntime", "--state-root"])
        .arg(target.sidecar.state_root())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let failed = |why| RespawnError::Hook { program: program.clone(), why };
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(state(target).to_string().as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    log::debug!("{}: {}: {said}", program.display(), output.status);
    Ok(said)
}

/// The container's state as a runtime would tell it (runtime-spec, runtime.md, "State").
fn state(target: &Target) -> serde_json::Value {
    json!({
        "ociVersion": "1.0.2",
        "id": target.id.as_str(),
        "status": "running",
        "pid": target.pid,
        "bundle": "/",
        "annotations": { annotation::KEY: target.sidecar.as_path() },
    })
}

/// The installed one, which podman runs too; from a build directory the one beside terokctl.
fn hook(directories: &Directories) -> Result<PathBuf, RespawnError> {
    let installed = directories.state.programs().join(HOOK);
    if installed.is_file() {
        return Ok(installed);
    }
    let own = std::fs::read_link("/proc/self/exe").ok();
    let packaged =
        own.and_then(|own| Some(own.parent()?.parent()?.join("libexec/terok").join(HOOK)));
    match packaged.filter(|hook| hook.is_file()) {
        Some(hook) => Ok(hook),
        None => {
            remark("note: no installed hook; the one beside terokctl is used");
            sibling::program(HOOK).map_err(RespawnError::Program)
        }
    }
}

impl fmt::Display for RespawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Podman(why) => why.fmt(f),
            Self::Files(why) => why.fmt(f),
            Self::Unknown(name) => write!(
                f,
                "respawn {name}: no such container\nhint: `terokctl status` lists what is known"
            ),
            Self::NotRunning(name) => write!(
                f,
                "respawn {name}: the container does not run\n\
                 hint: `podman start {name}` starts it with its supervisor"
            ),
            Self::NotOurs(name) => write!(
                f,
                "respawn {name}: the container has no annotation {}\n\
                 hint: start it with `terokctl run`",
                annotation::KEY
            ),
            Self::Id(why) => why.fmt(f),
            Self::Path(why) => why.fmt(f),
            Self::Program(why) => why.fmt(f),
            Self::End(why) => write!(f, "respawn: end the supervisor that lives: {why}"),
            Self::Hook { program, why } => write!(f, "run {}: {why}", program.display()),
            Self::NotServing(said) if said.is_empty() => {
                write!(f, "respawn: the hook said nothing, and no supervisor came")
            }
            Self::NotServing(said) => {
                write!(f, "respawn: no supervisor came; the hook said: {said}")
            }
        }
    }
}

impl std::error::Error for RespawnError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_what_a_runtime_sends() {
        let target = Target {
            id: ContainerId::parse("abc").unwrap(),
            pid: 42,
            sidecar: SidecarPath::parse("/s/sidecar/w.json").unwrap(),
        };
        let state = state(&target);
        assert_eq!(state["annotations"]["terok.sandbox.sidecar"], "/s/sidecar/w.json");
        assert_eq!((&state["pid"], &state["status"]), (&json!(42), &json!("running")));
    }
}

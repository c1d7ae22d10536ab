//! The OCI hook: started by crun, runc or podman with the container's state on standard input.
//!
//! It reads bounded input, decides (`plan`), starts or ends the one supervisor of this container,
//! writes a line to the diary for whatever happened, and is gone. It holds no secret. Trouble is
//! said, not fatal: the container starts all the same, unless its sidecar says `required`.

mod stage;

mod oci_state;

mod plan;

mod start;

mod placement;

mod launch;

mod daemon;

mod unit;

mod neighbour;

mod stop;

mod last_words;

use std::process::ExitCode;

use nix::sys::stat::{Mode, umask};
use terok_hook::admin_root::Refusal;
use terok_hook::diary::Diary;
use terok_hook::operator;
use terok_shared::annotation::SidecarPath;
use terok_shared::exit::Exit;
use terok_shared::sys::{descriptors, signals};

use oci_state::OciState;
use plan::Plan;
use stage::{Invocation, Stage};

fn main() -> ExitCode {
    // Before anything is read: none of the runtime's descriptors, signals or modes.
    let clean = descriptors::close_from(3).and_then(|()| signals::reset());
    umask(Mode::from_bits_truncate(0o077));
    if std::env::args_os().nth(1).is_some_and(|word| word == "--version") {
        println!(concat!("terok-hook ", env!("CARGO_PKG_VERSION")));
        return Exit::Clean.into();
    }
    let invocation = match Invocation::parse(std::env::args_os().skip(1)) {
        Ok(invocation) => invocation,
        Err(why) => {
            Diary::open(None).write(None, &why.to_string());
            return Exit::Clean.into();
        }
    };
    let fallback = invocation.state_root.as_deref();
    let state = clean.map_err(oci_state::StateError::Read).and_then(|()| oci_state::read());
    let state = match state {
        Ok(Some(state)) => state,
        Ok(None) => return Exit::Clean.into(),
        Err(why) => {
            Diary::open(fallback).write(None, &format!("{}: {why}", invocation.stage));
            return Exit::Clean.into();
        }
    };
    act(&invocation, &state).into()
}

fn act(invocation: &Invocation, state: &OciState) -> Exit {
    let id = state.id.as_ref().ok();
    if let Err(why) = admitted(invocation, state) {
        // Neither a diary there nor its `required` counts.
        let diary = Diary::open(invocation.state_root.as_deref());
        diary.write(id, &format!("{}: {why}", invocation.stage));
        return Exit::Clean;
    }
    let diary = diary_of(invocation, state);
    match plan::decide(invocation.stage, state) {
        Ok(Plan::Start(start)) => match start::start(&start, invocation.placement) {
            Ok(outcome) => {
                let mut lines: Vec<String> = outcome.remark.iter().cloned().collect();
                lines.extend(outcome.problems.iter().cloned());
                lines.push(outcome.to_string());
                lines.iter().for_each(|line| diary.write(id, line));
                said(outcome.exit(), &lines.join("\n"))
            }
            Err(why) => {
                let line = format!("{}: {why}", invocation.stage);
                diary.write(id, &line);
                said(why.exit(), &line)
            }
        },
        Ok(Plan::Stop(stop)) => {
            match stop::stop(&stop) {
                Ok(outcome) => diary.write(id, &outcome.to_string()),
                Err(why) => diary.write(id, &format!("{}: {why}", invocation.stage)),
            }
            Exit::Clean
        }
        Err(why) => {
            let line = format!("{}: {why}", invocation.stage);
            diary.write(id, &line);
            said(undecided(invocation.stage, state), &line)
        }
    }
}

/// The exit status, and for a refusal the reason too.
fn said(exit: Exit, reason: &str) -> Exit {
    if exit == Exit::Refused {
        last_words::say(reason);
    }
    exit
}

/// Whether the administrator of this node accepts a sidecar at that place.
fn admitted(invocation: &Invocation, state: &OciState) -> Result<(), Refusal> {
    match (&invocation.only_below, &state.sidecar) {
        (Some(root), Ok(sidecar)) => match invocation.stage {
            Stage::CreateRuntime => root.admits(sidecar),
            // It may be gone by now, with its directory.
            Stage::Poststop => root.admits_state_root(sidecar),
        },
        // Without a usable path nothing is opened.
        (None, _) | (_, Err(_)) => Ok(()),
    }
}

/// A state we cannot act on still stops the start of a container whose sidecar insists on us.
fn undecided(stage: Stage, state: &OciState) -> Exit {
    let required = state.sidecar.as_ref().is_ok_and(start::is_required);
    if stage == Stage::CreateRuntime && required { Exit::Refused } else { Exit::Clean }
}

/// The diary of the sidecar's own state root, when that root is the operator's; a hostile
/// annotation must not make us write elsewhere.
fn diary_of(invocation: &Invocation, state: &OciState) -> Diary {
    let own = state.sidecar.as_ref().ok().map(SidecarPath::state_root);
    match own.filter(|root| operator::owns(root)) {
        Some(root) => Diary::open(Some(root)),
        None => Diary::open(invocation.state_root.as_deref()),
    }
}

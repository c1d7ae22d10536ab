//! `terokctl demo`: the main job, played through in a temporary directory.
//!
//! It makes a vault, an upstream that remembers what it is sent, and a bare repository; starts a
//! real rootless container where podman can run one (and otherwise a plain process standing in
//! for it, saying so); and lets unmodified curl, ssh-keygen and git use credentials that the
//! container does not have. Everything is done with the commands an operator would type.

mod memory;
mod place;
mod scene;
mod stage;
mod upstream;

use std::fmt;
use std::io;
use std::time::Instant;

use place::Place;
use stage::Stage;
use upstream::Upstream;

/// What went wrong, and at which step of the story.
#[derive(Debug)]
pub(crate) enum DemoError {
    Io {
        what: String,
        why: io::Error,
    },
    /// A command of the story failed; `output` is what it said.
    Command {
        what: String,
        output: String,
    },
    /// Everything worked and the outcome is not what the story promises.
    Untrue {
        claim: String,
    },
}

/// Plays the story and prints it. Leaves nothing behind, also when a step fails.
pub(crate) fn run() -> Result<(), DemoError> {
    let began = Instant::now();
    let place = Place::make()?;
    let told = tell(&place);
    let left = place.leave();
    told?;
    left?;
    println!("\nDone in {:.1} s; nothing is left of it.", began.elapsed().as_secs_f32());
    Ok(())
}

fn tell(place: &Place) -> Result<(), DemoError> {
    let upstream = Upstream::start().map_err(DemoError::io("start the upstream"))?;
    let prepared = scene::prepare(place, &upstream)?;
    println!("A vault, an upstream and a repository in {}", place.root().display());
    let mut stage = Stage::choose(place);
    println!("In it, {}", stage.describe());
    let started = stage.start().inspect_err(|_| stage.abandon())?;
    let played = scene::play(place, &stage, &started, &prepared, &upstream);
    let ended = stage.end(started.supervisor);
    played?;
    println!("The container's end took its supervisor along: {} ms", ended?.as_millis());
    Ok(())
}

impl DemoError {
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |why| Self::Io { what, why }
    }
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, why } => write!(f, "demo: {what}: {why}"),
            Self::Command { what, output } => write!(f, "demo: {what}: {}", output.trim()),
            Self::Untrue { claim } => write!(f, "demo: this did not come true: {claim}"),
        }
    }
}

impl std::error::Error for DemoError {}

//! The order of a service's life, from its first instruction to its last.

use std::error::Error;
use std::fmt;
use std::io::{self, Read};
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::stat::{Mode, umask};
use serde::de::DeserializeOwned;
use terok_shared::exit::Exit;
use terok_shared::handover::{Common, FIRST_STRAY_FD, Slice};
use terok_shared::logging;
use terok_shared::service::Service;
use terok_shared::sys::{descriptors, memory, signals};

use crate::confine::{Lane, confine};
use crate::harden::{harden, settle};
use crate::inherit::Inherited;

/// Largest slice: a sidecar has at most 64 KiB, escaped at worst six-fold.
const MAX_SLICE: u64 = 512 * 1024;

/// Why a service could not start or go on; a sentence for the log.
pub type Failure = Box<dyn Error + Send + Sync>;

/// What one service adds to the common life.
pub trait Life: Sized {
    const SERVICE: Service;
    type Slice: DeserializeOwned;

    /// Opens everything that confinement will put out of reach.
    fn open(slice: Self::Slice, common: &Common, inherited: Inherited) -> Result<Self, Failure>;

    /// What it may still reach afterwards.
    fn lane(&self) -> Lane;

    /// Serves until told to stop (SIGTERM), and finishes what it can of work in flight.
    fn serve(self) -> Result<(), Failure>;
}

/// The whole life; a program's `main` is this one call.
pub fn run<L: Life>() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == "--version") {
        println!("{} {}", L::SERVICE.program(), env!("CARGO_PKG_VERSION"));
        return Exit::Clean.into();
    }
    let descriptors = descriptors::close_from(FIRST_STRAY_FD);
    let signals = signals::reset();
    umask(Mode::S_IRWXG | Mode::S_IRWXO);
    logging::start(L::SERVICE.name());
    let lived = descriptors
        .and(signals)
        .map_err(|why| Ended::Failed(why.into()))
        .and_then(|()| live::<L>());
    match lived {
        Ok(()) => Exit::Clean.into(),
        Err(Ended::BadSlice(why)) => {
            log::error!("cannot read its slice of the sidecar: {why}");
            Exit::BadSidecar.into()
        }
        Err(Ended::Failed(why)) => {
            log::error!("{why}");
            Exit::ServiceFailed.into()
        }
    }
}

fn live<L: Life>() -> Result<(), Ended> {
    let mut inherited = Inherited::take().map_err(|why| Ended::Failed(why.into()))?;
    let ready = inherited.ready.take();
    harden()?;
    let Slice { common, service } = load::<L::Slice>().map_err(Ended::BadSlice)?;
    settle(&common)?;
    inherited.leave_after = common.leave_after.map(Duration::from_secs);
    let life = L::open(service, &common, inherited)?;
    confine(&life.lane())?;
    if let Some(ready) = ready {
        nix::unistd::write(&ready, b"R").map_err(|why| Ended::Failed(why.into()))?;
    }
    memory::unmap_code();
    life.serve()?;
    Ok(())
}

/// The slice, read to its end: the pipe's other end is closed by then.
fn load<S: DeserializeOwned>() -> Result<Slice<S>, String> {
    let mut text = Vec::new();
    io::stdin()
        .lock()
        .take(MAX_SLICE)
        .read_to_end(&mut text)
        .map_err(|why| format!("standard input: {why}"))?;
    // The position alone: the text may hold a token.
    serde_json::from_slice(&text)
        .map_err(|why| format!("not a slice at line {} column {}", why.line(), why.column()))
}

#[derive(Debug)]
enum Ended {
    BadSlice(String),
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Ended {
    fn from(why: E) -> Self {
        Self::Failed(why.into())
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadSlice(why) => f.write_str(why),
            Self::Failed(why) => why.fmt(f),
        }
    }
}

//! The container state on standard input (runtime-spec, runtime.md, "State"), read with a bound
//! in bytes and time, and reduced to the three facts we act on.
//!
//! The annotation is looked at first: a container without it is none of our business, whatever
//! else its state holds. Runtimes differ in the rest (crun writes `"pid":0` at poststop, runc no
//! pid, others add members), so nothing but our three facts is required to make sense.

use std::fmt;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use oci_spec::runtime::State;
use serde_json::{Map, Value};
use terok_shared::annotation::{self, PathError, SidecarPath};
use terok_shared::container::{ContainerId, IdError};
use terok_shared::json_kind;

/// A state of podman's has about one KiB; annotations may be long, but not this long.
const MAX_BYTES: usize = 1024 * 1024;
/// The runtime writes at once and closes.
const PATIENCE: Duration = Duration::from_secs(5);

/// What we act on, each fact checked on its own so that a diary line can name the wrong one.
#[derive(Debug)]
pub(crate) struct OciState {
    pub id: Result<ContainerId, IdError>,
    /// The container's init in the host's numbering; none at poststop.
    pub pid: Option<i32>,
    pub sidecar: Result<SidecarPath, PathError>,
}

#[derive(Debug)]
pub(crate) enum StateError {
    Read(io::Error),
    TooLarge,
    TooSlow,
    NotJson(serde_json::Error),
    NotAnObject,
    Annotations(&'static str),
    Annotation(&'static str),
    State(serde_json::Error),
}

/// The state of a container that asks for us; `None` for any other container.
pub(crate) fn read() -> Result<Option<OciState>, StateError> {
    parse(&read_bounded(io::stdin().lock())?)
}

fn read_bounded(mut input: impl Read + AsFd) -> Result<Vec<u8>, StateError> {
    let deadline = Instant::now() + PATIENCE;
    let mut text = Vec::new();
    let mut chunk = [0u8; 16 * 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let ready = poll(&mut [PollFd::new(input.as_fd(), PollFlags::POLLIN)], wait)
            .map_err(|errno| StateError::Read(errno.into()))?;
        if ready == 0 {
            return Err(StateError::TooSlow);
        }
        match input.read(&mut chunk).map_err(StateError::Read)? {
            0 => return Ok(text),
            n if text.len() + n > MAX_BYTES => return Err(StateError::TooLarge),
            n => text.extend_from_slice(&chunk[..n]),
        }
    }
}

fn parse(text: &[u8]) -> Result<Option<OciState>, StateError> {
    let mut state = match serde_json::from_slice(text).map_err(StateError::NotJson)? {
        Value::Object(state) => state,
        _ => return Err(StateError::NotAnObject),
    };
    let Some(path) = take_annotation(&mut state)? else { return Ok(None) };
    let state: State = serde_json::from_value(Value::Object(state)).map_err(StateError::State)?;
    Ok(Some(OciState {
        id: ContainerId::parse(state.id()),
        pid: state.pid().filter(|pid| *pid > 0),
        sidecar: SidecarPath::parse(&path),
    }))
}

/// Our annotation's value, the other annotations left aside: they may be of any type.
fn take_annotation(state: &mut Map<String, Value>) -> Result<Option<String>, StateError> {
    match state.remove("annotations") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(mut annotations)) => match annotations.remove(annotation::KEY) {
            None => Ok(None),
            Some(Value::String(path)) if path.is_empty() => Ok(None),
            Some(Value::String(path)) => Ok(Some(path)),
            Some(other) => Err(StateError::Annotation(json_kind::of(&other))),
        },
        Some(other) => Err(StateError::Annotations(json_kind::of(&other))),
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = annotation::KEY;
        write!(f, "OCI state: ")?;
        match self {
            Self::Read(why) => write!(f, "{why}"),
            Self::TooLarge => write!(f, "more than {MAX_BYTES} bytes"),
            Self::TooSlow => write!(f, "no end of input within {} s", PATIENCE.as_secs()),
            Self::NotJson(why) => {
                write!(f, "not JSON at line {} column {}", why.line(), why.column())
            }
            Self::NotAnObject => write!(f, "not a JSON object"),
            Self::Annotations(kind) => write!(f, "`annotations`: expected an object, found {kind}"),
            Self::Annotation(kind) => {
                write!(f, "annotation `{key}`: expected a string, found {kind}")
            }
            Self::State(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for StateError {}

#[cfg(test)]
mod tests;

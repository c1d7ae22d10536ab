//! What a `config.json` says about us, and what it says once our hooks are in it.
//!
//! Only the members that we look at are taken apart; every other keeps the very text it had, so
//! numbers, escapes and members that are newer than this program survive.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::annotation;

/// The stages we need, as `hooks` names them and as terok-hook's first argument.
pub const STAGES: [&str; 2] = ["createRuntime", "poststop"];
/// The variable of the container's process that may stand in for the annotation, where a
/// container's creator cannot set one (Docker before 24).
pub const VARIABLE: &str = "TEROK_SANDBOX_SIDECAR";

const ANNOTATIONS: &str = "annotations";
const HOOKS: &str = "hooks";
const PROCESS: &str = "process";
const ENV: &str = "env";
const PROGRAM: &str = "terok-hook";

type Members = BTreeMap<String, Box<RawValue>>;

/// A configuration, taken apart at its top level only.
#[derive(Debug)]
pub struct Config(Members);

/// Whether [`VARIABLE`] counts. An image can bring variables of its own, so whoever does not
/// choose the images should not let it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    Accepted,
    Ignored,
}

/// How the runtime shall call terok-hook.
#[derive(Clone, Copy, Debug)]
pub struct Hooks<'a> {
    /// Absolute.
    pub program: &'a Path,
    /// After the stage.
    pub arguments: &'a [String],
}

#[derive(Debug)]
pub enum ConfigError {
    NotAnObject(serde_json::Error),
    Member {
        name: String,
        why: serde_json::Error,
    },
    /// The hook's path is not UTF-8, which JSON needs.
    Program,
}

/// runtime-spec, config.md, "POSIX-platform Hooks"; what we leave out is optional.
#[derive(Serialize)]
struct Hook<'a> {
    path: &'a str,
    args: Vec<&'a str>,
}

impl Config {
    /// # Errors
    /// The text is not a JSON object.
    pub fn parse(text: &[u8]) -> Result<Self, ConfigError> {
        serde_json::from_slice(text).map(Self).map_err(ConfigError::NotAnObject)
    }

    pub fn text(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).expect("keys are text and values were JSON")
    }

    /// The sidecar that this container names: by its annotation, else by the variable. `None` for a
    /// container that is not ours.
    ///
    /// # Errors
    /// The annotation is not a string, or `annotations`, `process` or `env` not of its kind.
    pub fn sidecar(&self, variable: Variable) -> Result<Option<String>, ConfigError> {
        let annotations: Members = self.member(ANNOTATIONS)?;
        let annotated: Option<String> = match annotations.get(annotation::KEY) {
            Some(value) => read(annotation::KEY, value)?,
            None => None,
        };
        let annotated = annotated.filter(|value| !value.is_empty());
        match (annotated, variable) {
            (None, Variable::Accepted) => self.sidecar_of_variable(),
            (annotated, _) => Ok(annotated),
        }
    }

    /// Sets our annotation; whether it had another value before.
    ///
    /// # Errors
    /// `annotations` is not an object.
    pub fn annotate(&mut self, sidecar: &str) -> Result<bool, ConfigError> {
        let mut annotations: Members = self.member(ANNOTATIONS)?;
        let value = to_raw(&sidecar);
        let old = annotations.insert(annotation::KEY.to_owned(), value);
        let same = old.is_some_and(|old| {
            serde_json::from_str::<String>(old.get()).is_ok_and(|old| old == sidecar)
        });
        if !same {
            self.set(ANNOTATIONS, &annotations);
        }
        Ok(!same)
    }

    /// Takes the variable out of the process's environment, where the container would see it;
    /// whether it was there.
    ///
    /// # Errors
    /// `process` or its `env` is not of its kind.
    pub fn remove_variable(&mut self) -> Result<bool, ConfigError> {
        let mut process: Members = self.member(PROCESS)?;
        let mut variables: Vec<Box<RawValue>> = inner(&process, ENV)?;
        let before = variables.len();
        variables.retain(|variable| value_of(variable).is_none());
        if variables.len() == before {
            return Ok(false);
        }
        process.insert(ENV.to_owned(), to_raw(&variables));
        self.set(PROCESS, &process);
        Ok(true)
    }

    /// Adds our hooks, each as the last of its stage; a stage that calls a terok-hook already stays
    /// as it is. Whether any was added.
    ///
    /// # Errors
    /// `hooks` is not of its kind, or the hook's path not UTF-8.
    pub fn add_hooks(&mut self, hooks: &Hooks<'_>) -> Result<bool, ConfigError> {
        let program = hooks.program.to_str().ok_or(ConfigError::Program)?;
        let mut stages: Members = self.member(HOOKS)?;
        let mut added = false;
        for stage in STAGES {
            let mut entries: Vec<Box<RawValue>> = inner(&stages, stage)?;
            if entries.iter().any(|entry| calls_us(entry)) {
                continue;
            }
            let arguments = hooks.arguments.iter().map(String::as_str);
            let args = [program, stage].into_iter().chain(arguments).collect();
            entries.push(to_raw(&Hook { path: program, args }));
            stages.insert(stage.to_owned(), to_raw(&entries));
            added = true;
        }
        if added {
            self.set(HOOKS, &stages);
        }
        Ok(added)
    }

    fn sidecar_of_variable(&self) -> Result<Option<String>, ConfigError> {
        let variables: Vec<Box<RawValue>> = inner(&self.member(PROCESS)?, ENV)?;
        // The later one wins, as it does for the process.
        let value = variables.iter().rev().find_map(|variable| value_of(variable));
        Ok(value.filter(|value| !value.is_empty()))
    }

    fn member<'a, T: Deserialize<'a> + Default>(&'a self, name: &str) -> Result<T, ConfigError> {
        inner(&self.0, name)
    }

    fn set(&mut self, name: &str, value: &impl Serialize) {
        self.0.insert(name.to_owned(), to_raw(value));
    }
}

/// A member, its default where it is missing or null.
fn inner<'a, T: Deserialize<'a> + Default>(
    members: &'a Members,
    name: &str,
) -> Result<T, ConfigError> {
    match members.get(name) {
        Some(value) => Ok(read::<Option<T>>(name, value)?.unwrap_or_default()),
        None => Ok(T::default()),
    }
}

fn read<'a, T: Deserialize<'a>>(name: &str, value: &'a RawValue) -> Result<T, ConfigError> {
    serde_json::from_str(value.get())
        .map_err(|why| ConfigError::Member { name: name.to_owned(), why })
}

fn to_raw(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("keys are text and values were JSON")
}

fn value_of(variable: &RawValue) -> Option<String> {
    let text: String = serde_json::from_str(variable.get()).ok()?;
    text.strip_prefix(VARIABLE)?.strip_prefix('=').map(str::to_owned)
}

fn calls_us(entry: &RawValue) -> bool {
    #[derive(Deserialize)]
    struct Entry {
        path: String,
    }
    let entry: Result<Entry, _> = serde_json::from_str(entry.get());
    entry.is_ok_and(|entry| Path::new(&entry.path).file_name().is_some_and(|name| name == PROGRAM))
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The position says enough; the text may hold the container's variables.
            Self::NotAnObject(why) => {
                write!(f, "not a JSON object at line {} column {}", why.line(), why.column())
            }
            Self::Member { name, why } => {
                write!(f, "`{name}`: not of the expected kind ({:?} error)", why.classify())
            }
            Self::Program => write!(f, "the path of {PROGRAM} is not UTF-8"),
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests;

//! Typed members of the sidecar's JSON object. A member that is absent or `null` is absent;
//! unknown members are another reader's business.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Map, Value};

use super::{MAX_BYTES, SidecarError};
use crate::json_kind;

pub(super) struct Members(Map<String, Value>);

/// One member that cannot be used. Names the key and the kind of the value, never a value that
/// could be a secret.
#[derive(Debug, PartialEq, Eq)]
pub struct FieldError {
    key: &'static str,
    why: String,
}

impl FieldError {
    pub(super) fn new(key: &'static str, why: impl Into<String>) -> Self {
        Self { key, why: why.into() }
    }

    /// For a member of the object `parent`.
    pub(super) fn within(self, parent: &'static str) -> Self {
        Self { key: parent, why: format!("member `{}`: {}", self.key, self.why) }
    }

    fn expected(key: &'static str, what: &str, found: &Value) -> Self {
        Self::new(key, format!("expected {what}, found {}", json_kind::of(found)))
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key `{}`: {}", self.key, self.why)
    }
}

impl std::error::Error for FieldError {}

impl Members {
    pub(super) fn parse(file: &Path, json: &[u8]) -> Result<Self, SidecarError> {
        let file = || file.to_owned();
        if json.len() > MAX_BYTES {
            return Err(SidecarError::TooLarge { file: file(), bytes: json.len() });
        }
        match serde_json::from_slice(json) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(other) => {
                Err(SidecarError::NotAnObject { file: file(), kind: json_kind::of(&other) })
            }
            Err(why) => Err(SidecarError::NotJson { file: file(), why }),
        }
    }

    pub(super) fn required_string(&self, key: &'static str) -> Result<String, FieldError> {
        self.string(key)?.ok_or_else(|| FieldError::new(key, "is missing"))
    }

    pub(super) fn required_path(&self, key: &'static str) -> Result<PathBuf, FieldError> {
        self.path(key)?.ok_or_else(|| FieldError::new(key, "is missing"))
    }

    pub(super) fn string(&self, key: &'static str) -> Result<Option<String>, FieldError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(FieldError::expected(key, "a string", other)),
        }
    }

    pub(super) fn path(&self, key: &'static str) -> Result<Option<PathBuf>, FieldError> {
        let Some(text) = self.string(key)? else { return Ok(None) };
        if text.contains('\0') {
            return Err(FieldError::new(key, "holds a NUL character"));
        }
        let path = PathBuf::from(text);
        if !path.is_absolute() {
            return Err(FieldError::new(key, "expected an absolute path, found a relative one"));
        }
        Ok(Some(path))
    }

    pub(super) fn boolean(&self, key: &'static str) -> Result<Option<bool>, FieldError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(FieldError::expected(key, "true or false", other)),
        }
    }

    /// A port from 1 to 65535, written as an integer: strings, fractions and booleans are refused.
    pub(super) fn port(&self, key: &'static str) -> Result<Option<u16>, FieldError> {
        const WANTED: &str = "an integer from 1 to 65535";
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64().and_then(|n| u16::try_from(n).ok()).filter(|port| *port > 0) {
            Some(port) => Ok(Some(port)),
            None if value.is_number() => {
                Err(FieldError::new(key, format!("expected {WANTED}, found {value}")))
            }
            None => Err(FieldError::expected(key, WANTED, value)),
        }
    }

    /// Whole seconds, from one to a day.
    pub(super) fn seconds(&self, key: &'static str) -> Result<Option<Duration>, FieldError> {
        const WANTED: &str = "a whole number of seconds from 1 to 86400";
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64().filter(|seconds| (1..=86400).contains(seconds)) {
            Some(seconds) => Ok(Some(Duration::from_secs(seconds))),
            None if value.is_number() => {
                Err(FieldError::new(key, format!("expected {WANTED}, found {value}")))
            }
            None => Err(FieldError::expected(key, WANTED, value)),
        }
    }

    pub(super) fn object(&self, key: &'static str) -> Result<Option<Self>, FieldError> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Object(members)) => Ok(Some(Self(members.clone()))),
            Some(other) => Err(FieldError::expected(key, "an object", other)),
        }
    }

    /// An object whose members are all strings, by their names; none when it is absent.
    pub(super) fn strings(&self, key: &'static str) -> Result<Vec<(String, String)>, FieldError> {
        let Some(Self(members)) = self.object(key)? else { return Ok(vec![]) };
        let string = |(name, value)| match value {
            Value::String(text) => Ok((name, text)),
            other => {
                let found = json_kind::of(&other);
                let why = format!("member `{name}`: expected a string, found {found}");
                Err(FieldError::new(key, why))
            }
        };
        members.into_iter().map(string).collect()
    }

    /// A member that is none of these, in an object that is no other reader's business.
    pub(super) fn besides(&self, known: &[&str]) -> Option<&str> {
        self.0.keys().map(String::as_str).find(|key| !known.contains(key))
    }

    /// A member that somebody else checks.
    pub(super) fn unread(&self, key: &'static str) -> Option<Value> {
        self.get(key).cloned()
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }
}

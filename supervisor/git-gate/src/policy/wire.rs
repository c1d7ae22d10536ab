//! A policy as JSON says it. Unknown members are refused: a misspelt rule must not be no rule.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::Policy;
use crate::pattern::{Pattern, PatternError};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    refs: Option<Vec<String>>,
    rewrite: Option<Vec<String>>,
    #[serde(default)]
    protected: Vec<String>,
    max_pack_bytes: Option<u64>,
    max_blob_bytes: Option<u64>,
    signed_commits: Option<SignedCommits>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedCommits {
    allowed_signers: PathBuf,
}

#[derive(Debug)]
pub(crate) enum PolicyError {
    Shape(serde_json::Error),
    Pattern { key: &'static str, why: PatternError },
    RelativeSigners(PathBuf),
}

impl TryFrom<&Value> for Policy {
    type Error = PolicyError;

    fn try_from(value: &Value) -> Result<Self, PolicyError> {
        let wire = Wire::deserialize(value).map_err(PolicyError::Shape)?;
        let signers = wire.signed_commits.map(|signed| signed.allowed_signers);
        if let Some(path) = signers.as_ref().filter(|path| !path.is_absolute()) {
            return Err(PolicyError::RelativeSigners(path.clone()));
        }
        Ok(Self {
            refs: wire.refs.map(|list| patterns("refs", &list)).transpose()?,
            rewrite: wire.rewrite.map(|list| patterns("rewrite", &list)).transpose()?,
            protected: patterns("protected", &wire.protected)?,
            max_pack_bytes: wire.max_pack_bytes,
            max_blob_bytes: wire.max_blob_bytes,
            signers,
        })
    }
}

fn patterns(key: &'static str, list: &[String]) -> Result<Vec<Pattern>, PolicyError> {
    list.iter()
        .map(|text| Pattern::parse(text).map_err(|why| PolicyError::Pattern { key, why }))
        .collect()
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape(why) => why.fmt(f),
            Self::Pattern { key, why } => write!(f, "`{key}`: {why}"),
            Self::RelativeSigners(path) => {
                write!(f, "`allowed_signers`: {} is not an absolute path", path.display())
            }
        }
    }
}

impl std::error::Error for PolicyError {}

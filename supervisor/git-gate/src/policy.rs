//! What may be pushed: rules for names, sizes and signatures, and the reasons given for a refusal.
//!
//! Pure. What only git can tell (is it a fast-forward, how large is a blob, who signed) is asked
//! by the `pre-receive` hook, which holds the objects of the push in quarantine.

mod wire;

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::pattern::Pattern;
use crate::update::Update;

/// One policy; a push has to satisfy all that apply.
#[derive(Debug)]
pub(crate) struct Policy {
    /// What may be pushed to at all; `None`: everything.
    refs: Option<Vec<Pattern>>,
    /// What may be deleted and rewritten; `None`: all that may be pushed to.
    rewrite: Option<Vec<Pattern>>,
    /// What is not to be pushed to, whatever the other lists say.
    protected: Vec<Pattern>,
    max_pack_bytes: Option<u64>,
    max_blob_bytes: Option<u64>,
    /// The file of those who may sign commits (ssh-keygen(1), "ALLOWED SIGNERS").
    signers: Option<PathBuf>,
}

/// The policies that apply, each with the words for where it comes from; or why they cannot be
/// told.
pub(crate) type Found = Result<Vec<(String, Value)>, String>;

/// All policies of one gate.
#[derive(Debug)]
pub(crate) enum Rules {
    /// None: every push is git's own business.
    Open,
    Judged(Vec<Policy>),
    /// One that cannot be read: nothing is pushed until it can.
    Malformed(String),
}

/// Why a ref stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Malformed(String),
    /// The rules in force are not those the gate has.
    Changed,
    Protected,
    NotAllowed,
    Delete,
    Rewrite,
    Symbolic,
    /// A deletion of something else than what is there.
    Stale,
    PackTooLarge {
        max: u64,
    },
    BlobTooLarge {
        blob: String,
        max: u64,
    },
    Unsigned {
        commit: String,
    },
    /// git could not tell whether a rule is kept.
    Unchecked {
        what: &'static str,
    },
    /// Nothing is wrong with this ref, but a push is taken whole or not at all.
    Companion,
}

impl Rules {
    pub(crate) fn parse(found: &Found) -> Self {
        let mut judged = Vec::new();
        let policies = match found {
            Ok(policies) => policies,
            Err(why) => return Self::Malformed(why.clone()),
        };
        for (origin, value) in policies {
            match Policy::try_from(value) {
                Ok(policy) => judged.push(policy),
                Err(why) => return Self::Malformed(format!("{origin}: {why}")),
            }
        }
        if judged.is_empty() { Self::Open } else { Self::Judged(judged) }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// What the names alone rule out.
    pub(crate) fn refuse(&self, update: &Update<'_>) -> Option<Refusal> {
        match self {
            Self::Open => None,
            Self::Malformed(why) => Some(Refusal::Malformed(why.clone())),
            Self::Judged(policies) => policies.iter().find_map(|policy| policy.refuse(update)),
        }
    }

    /// Whether the ref may be moved otherwise than forward.
    pub(crate) fn allows_rewriting(&self, name: &[u8]) -> bool {
        self.policies().iter().all(|policy| policy.allows_rewriting(name))
    }

    pub(crate) fn max_pack_bytes(&self) -> Option<u64> {
        self.policies().iter().filter_map(|policy| policy.max_pack_bytes).min()
    }

    pub(crate) fn max_blob_bytes(&self) -> Option<u64> {
        self.policies().iter().filter_map(|policy| policy.max_blob_bytes).min()
    }

    /// The files of allowed signers; a commit needs a signature by one of each.
    pub(crate) fn signers(&self) -> impl Iterator<Item = &Path> {
        self.policies().iter().filter_map(|policy| policy.signers.as_deref())
    }

    fn policies(&self) -> &[Policy] {
        match self {
            Self::Judged(policies) => policies,
            Self::Open | Self::Malformed(_) => &[],
        }
    }
}

impl Policy {
    fn refuse(&self, update: &Update<'_>) -> Option<Refusal> {
        if any(&self.protected, update.name) {
            Some(Refusal::Protected)
        } else if self.refs.as_deref().is_some_and(|refs| !any(refs, update.name)) {
            Some(Refusal::NotAllowed)
        } else if update.deletes() && !self.allows_rewriting(update.name) {
            Some(Refusal::Delete)
        } else {
            None
        }
    }

    fn allows_rewriting(&self, name: &[u8]) -> bool {
        self.rewrite.as_deref().is_none_or(|patterns| any(patterns, name))
    }
}

fn any(patterns: &[Pattern], name: &[u8]) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(why) => write!(f, "the gate's policy is malformed: {why}"),
            Self::Changed => f.write_str("the gate's policy has just changed, push again"),
            Self::Protected => f.write_str("protected by the gate's policy"),
            Self::NotAllowed => f.write_str("not among the refs that the gate's policy allows"),
            Self::Delete => f.write_str("the gate's policy forbids to delete it"),
            Self::Rewrite => f.write_str("not a fast-forward, which the gate's policy demands"),
            Self::Symbolic => f.write_str("a symbolic ref, which the gate's policy forbids"),
            Self::Stale => f.write_str("stale info, fetch first"),
            Self::PackTooLarge { max } => {
                write!(f, "pack larger than the {max} bytes that the gate's policy allows")
            }
            Self::BlobTooLarge { blob, max } => {
                write!(f, "blob {blob} larger than the {max} bytes that the gate's policy allows")
            }
            Self::Unsigned { commit } => {
                write!(f, "commit {commit} is not signed by anyone the gate's policy allows")
            }
            Self::Unchecked { what } => write!(f, "the gate could not check {what}"),
            Self::Companion => f.write_str("another ref of this push was refused"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::update::tests::{NEW, NULL, OLD};

    fn rules(policies: &[Value]) -> Rules {
        Rules::parse(&Ok(policies.iter().map(|value| ("here".to_owned(), value.clone())).collect()))
    }

    fn verdict(rules: &Rules, old: &str, new: &str, name: &str) -> Option<Refusal> {
        let line = format!("{old} {new} {name}");
        rules.refuse(&Update::parse(line.as_bytes()).unwrap())
    }

    #[test]
    fn no_policy_refuses_nothing() {
        assert!(rules(&[]).is_open());
        let empty = rules(&[json!({})]);
        assert_eq!(verdict(&empty, OLD, NULL, "refs/heads/main"), None);
        assert!(empty.allows_rewriting(b"refs/heads/main"));
    }

    #[test]
    fn names_are_judged_by_the_three_lists() {
        let rules = rules(&[json!({
            "refs": ["refs/heads/*", "refs/tags/a*"],
            "rewrite": ["refs/heads/agent/*"],
            "protected": ["refs/heads/main", "refs/heads/release/*"],
        })]);
        for (old, new, name, expected) in [
            (NULL, NEW, "refs/heads/x", None),
            (OLD, NEW, "refs/heads/x", None),
            (OLD, NULL, "refs/heads/x", Some(Refusal::Delete)),
            (OLD, NULL, "refs/heads/agent/x", None),
            (NULL, NULL, "refs/heads/x", Some(Refusal::Delete)),
            (OLD, NEW, "refs/heads/main", Some(Refusal::Protected)),
            (NULL, NEW, "refs/heads/release/1", Some(Refusal::Protected)),
            (NULL, NEW, "refs/tags/b", Some(Refusal::NotAllowed)),
            (NULL, NEW, "refs/tags/a1", None),
        ] {
            assert_eq!(verdict(&rules, old, new, name), expected, "{old} {new} {name}");
        }
        assert!(rules.allows_rewriting(b"refs/heads/agent/x"));
        assert!(!rules.allows_rewriting(b"refs/heads/x"));
    }

    #[test]
    fn of_several_policies_the_strictest_counts() {
        let rules = rules(&[
            json!({ "max_pack_bytes": 10, "max_blob_bytes": 3 }),
            json!({ "max_pack_bytes": 7, "rewrite": [], "protected": ["refs/heads/a"] }),
        ]);
        assert_eq!((rules.max_pack_bytes(), rules.max_blob_bytes()), (Some(7), Some(3)));
        assert!(!rules.allows_rewriting(b"refs/heads/b"));
        assert_eq!(verdict(&rules, OLD, NEW, "refs/heads/a"), Some(Refusal::Protected));
    }

    #[test]
    fn a_malformed_policy_refuses_everything_and_names_the_fault() {
        for (policy, part) in [
            (json!(7), "invalid type: integer `7`"),
            (json!([null, null, [], null, null, null]), "an array, not an object"),
            (json!({ "protectd": [] }), "unknown field `protectd`"),
            (json!({ "protected": ["main"] }), "`protected`: pattern \"main\""),
            (json!({ "max_blob_bytes": -1 }), "-1"),
            (json!({ "signed_commits": { "allowed_signers": "x" } }), "not an absolute path"),
        ] {
            let rules = rules(&[json!({}), policy]);
            let why = verdict(&rules, NULL, NEW, "refs/heads/x").unwrap().to_string();
            assert!(why.contains("malformed: here: ") && why.contains(part), "{why}");
        }
    }
}

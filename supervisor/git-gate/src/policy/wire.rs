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
    /// serde would take its elements for the members in their order.
    Array,
    Shape(serde_json::Error),
    Pattern {
        key: &'static str,
        why: PatternError,
    },
    RelativeSigners(PathBuf),
}

impl TryFrom<&Value> for Policy {
    type Error = PolicyError;

    fn try_from(value: &Value) -> Result<Self, PolicyError> {
        if value.is_array() {
            return Err(PolicyError::Array);
        }
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
            Self::Array => f.write_str("an array, not an object"),
            Self::Shape(why) => why.fmt(f),
            Self::Pattern { key, why } => write!(f, "`{key}`: {why}"),
            Self::RelativeSigners(path) => {
                write!(f, "`allowed_signers`: {} is not an absolute path", path.display())
            }
        }
    }
}

impl std::error::Error for PolicyError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::policy::{Found, Refusal, Rules};
    use crate::update::Update;
    use crate::update::tests::{NEW, NULL, OLD};

    const MEMBERS: [&str; 6] =
        ["refs", "rewrite", "protected", "max_pack_bytes", "max_blob_bytes", "signed_commits"];

    fn parse(value: &Value) -> Rules {
        // As the hooks get it: through text.
        let found: Found = Ok(vec![("here".to_owned(), value.clone())]);
        let text = serde_json::to_string(&found).unwrap();
        Rules::parse(&serde_json::from_str(&text).unwrap())
    }

    fn verdict(rules: &Rules, new: &str, name: &str) -> Option<Refusal> {
        rules.refuse(&Update::parse(format!("{OLD} {new} {name}").as_bytes()).unwrap())
    }

    fn list() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("refs/[ab]{0,2}\\*?[ab]{0,1}", 0..3)
    }

    /// Any JSON, with the members of a policy more often than chance would have it.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "(refs/)?[a*]{0,12}".prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let key = prop_oneof![
                proptest::sample::select(&MEMBERS[..]).prop_map(str::to_owned),
                Just("allowed_signers".to_owned()),
                any::<String>(),
            ];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::hash_map(key, inner, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_policy_judges_names_as_its_lists_say(
            refs in proptest::option::of(list()),
            rewrite in proptest::option::of(list()),
            protected in list(),
            name in "refs/[ab]{1,4}",
            deletes in any::<bool>(),
        ) {
            let rules = parse(&json!({ "refs": refs, "rewrite": rewrite, "protected": protected }));
            let among = |list: &[String]| {
                list.iter().any(|text| Pattern::parse(text).unwrap().matches(name.as_bytes()))
            };
            let may_rewrite = rewrite.as_deref().is_none_or(among);
            let expected = if among(&protected) {
                Some(Refusal::Protected)
            } else if !refs.as_deref().is_none_or(among) {
                Some(Refusal::NotAllowed)
            } else if deletes && !may_rewrite {
                Some(Refusal::Delete)
            } else {
                None
            };
            prop_assert_eq!(verdict(&rules, if deletes { NULL } else { NEW }, &name), expected);
            prop_assert_eq!(rules.allows_rewriting(name.as_bytes()), may_rewrite);
        }

        #[test]
        fn numbers_are_limits_when_they_are_bytes(
            pack in any::<i128>(),
            blob in proptest::option::of(any::<u64>()),
        ) {
            // Wider than a JSON number of ours: as text.
            let text = format!("{{\"max_pack_bytes\": {pack}, \"max_blob_bytes\": {}}}", json!(blob));
            let value: Value = serde_json::from_str(&text).unwrap();
            let rules = parse(&value);
            match u64::try_from(pack) {
                Ok(max) => {
                    prop_assert_eq!(rules.max_pack_bytes(), Some(max));
                    prop_assert_eq!(rules.max_blob_bytes(), blob);
                }
                Err(_) => prop_assert!(matches!(rules, Rules::Malformed(_))),
            }
        }

        #[test]
        fn json_is_a_policy_of_known_members_or_refuses_every_push(
            value in any_json(),
            name in "refs/[a-z/]{1,9}",
        ) {
            let rules = parse(&value);
            if matches!(rules, Rules::Malformed(_)) {
                let is_refused = matches!(verdict(&rules, NEW, &name), Some(Refusal::Malformed(_)));
                prop_assert!(is_refused);
                return Ok(());
            }
            let members = value.as_object().expect("nothing else is a policy");
            prop_assert!(members.keys().all(|member| MEMBERS.contains(&member.as_str())));
        }

        #[test]
        fn one_unknown_member_is_enough_to_refuse_everything(
            member in "[a-z_]{1,16}",
            protected in list(),
        ) {
            prop_assume!(!MEMBERS.contains(&member.as_str()));
            let mut value = json!({ "protected": protected });
            value[member] = json!([]);
            prop_assert!(matches!(parse(&value), Rules::Malformed(_)));
        }
    }
}

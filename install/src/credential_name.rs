//! What a credential is called: the set it belongs to and the provider it is for.

use std::fmt;

/// The provider of tokens that stand for SSH keys; no credential can have it.
pub(crate) const SSH: &str = "ssh";

const MAX_LENGTH: usize = 64;

/// A provider: the key of its route, and part of variable names in containers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ProviderName(String);

/// A credential set: the same provider's other account lives in another set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SetName(String);

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NameError {
    Length(usize),
    Malformed,
    Ssh,
}

impl ProviderName {
    pub(crate) fn parse(name: &str) -> Result<Self, NameError> {
        check(name)?;
        if name == SSH {
            return Err(NameError::Ssh);
        }
        Ok(Self(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// In variable names: capitals, and an underscore for what a variable cannot have.
    pub(crate) fn in_variables(&self) -> String {
        let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        self.0.chars().map(letter).collect()
    }
}

impl SetName {
    pub(crate) fn parse(name: &str) -> Result<Self, NameError> {
        check(name)?;
        Ok(Self(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn check(name: &str) -> Result<(), NameError> {
    if name.is_empty() || name.len() > MAX_LENGTH {
        return Err(NameError::Length(name.len()));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(plain) {
        return Err(NameError::Malformed);
    }
    Ok(())
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for SetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(n) => write!(f, "has {n} characters, expected 1 to {MAX_LENGTH}"),
            Self::Malformed => {
                f.write_str("expected letters, digits, `.`, `_` and `-`, a letter or digit first")
            }
            Self::Ssh => {
                f.write_str("`ssh` stands for the keys of a scope, which `terokctl ssh` manages")
            }
        }
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_routes_and_variables_are_accepted() {
        for name in ["github", "a", "my-api.v2_x", "7"] {
            assert_eq!(ProviderName::parse(name).unwrap().as_str(), name);
        }
        assert_eq!(ProviderName::parse("my-api.v2").unwrap().in_variables(), "MY_API_V2");
    }

    #[test]
    fn other_names_are_refused() {
        for name in ["", "-x", ".x", "a b", "a/b", "ä", "a\n", &"a".repeat(65)] {
            assert!(ProviderName::parse(name).is_err() && SetName::parse(name).is_err(), "{name}");
        }
        assert_eq!(ProviderName::parse("ssh"), Err(NameError::Ssh));
    }
}

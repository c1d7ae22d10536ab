//! The two names of a container: the runtime's id and the operator's name.
//!
//! Both become parts of file names, so both are checked once, here, and nowhere else.

use std::fmt;

/// Longest id: leaves room for `supervisor-` and `.pid` in one file name (NAME_MAX is 255).
const MAX_ID: usize = 200;
const MAX_NAME: usize = 200;

/// The container's id as the OCI runtime knows it; safe as part of a file name and as an argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerId(String);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdError {
    Empty,
    TooLong(usize),
    FirstCharacter(char),
    Character(char),
}

impl ContainerId {
    /// Accepts what runtimes use: letters, digits and `_ + . -`, first a letter, digit or `_`.
    pub fn parse(id: &str) -> Result<Self, IdError> {
        let first = id.chars().next().ok_or(IdError::Empty)?;
        if id.len() > MAX_ID {
            return Err(IdError::TooLong(id.len()));
        }
        if let Some(bad) =
            id.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '+' | '.' | '-')))
        {
            return Err(IdError::Character(bad));
        }
        if !(first.is_ascii_alphanumeric() || first == '_') {
            return Err(IdError::FirstCharacter(first));
        }
        Ok(Self(id.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 characters, as podman prints them.
    pub fn short(&self) -> &str {
        &self.0[..self.0.len().min(12)]
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "container id is empty"),
            Self::TooLong(n) => write!(f, "container id has {n} characters, at most {MAX_ID}"),
            Self::FirstCharacter(c) => write!(f, "container id starts with {c:?}"),
            Self::Character(c) => write!(f, "container id holds {c:?}"),
        }
    }
}

impl std::error::Error for IdError {}

/// The container's name: one path component.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContainerName(String);

#[derive(Debug, PartialEq, Eq)]
pub enum NameError {
    Empty,
    TooLong(usize),
    Dots,
    Character(char),
}

impl ContainerName {
    /// Refuses what could leave its directory or break a log line.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name.len() > MAX_NAME {
            return Err(NameError::TooLong(name.len()));
        }
        if name == "." || name == ".." {
            return Err(NameError::Dots);
        }
        match name.chars().find(|c| matches!(c, '/' | '\\') || c.is_control()) {
            Some(bad) => Err(NameError::Character(bad)),
            None => Ok(Self(name.to_owned())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "is empty"),
            Self::TooLong(n) => write!(f, "has {n} bytes, at most {MAX_NAME}"),
            Self::Dots => write!(f, "is a directory reference"),
            Self::Character(c) => write!(f, "holds {c:?}, expected a single path component"),
        }
    }
}

impl std::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn podman_and_hand_made_ids_are_accepted() {
        for id in ["f9785e8dc4d4", "web", "_x", "a+b.c-d", &"a".repeat(64)] {
            assert_eq!(ContainerId::parse(id).unwrap().as_str(), id);
        }
    }

    #[test]
    fn an_id_that_could_leave_its_directory_is_refused() {
        for id in ["", "../../etc/x", "a/b", "-rf", ".hidden", "..", "a b", "a\n", "é"] {
            assert!(ContainerId::parse(id).is_err(), "{id:?}");
        }
        assert_eq!(ContainerId::parse(&"a".repeat(201)), Err(IdError::TooLong(201)));
    }

    #[test]
    fn short_id_has_at_most_twelve_characters() {
        assert_eq!(ContainerId::parse("0123456789abcdef").unwrap().short(), "0123456789ab");
        assert_eq!(ContainerId::parse("web").unwrap().short(), "web");
    }

    #[test]
    fn a_name_is_one_path_component() {
        for name in ["web", "-odd", "a b", "..."] {
            assert!(ContainerName::parse(name).is_ok(), "{name:?}");
        }
        for name in ["", ".", "..", "a/b", "a\\b", "a\nb", "a\0b"] {
            assert!(ContainerName::parse(name).is_err(), "{name:?}");
        }
    }
}

//! Names and comments that end up in file names, terminal output and public key lines.
//!
//! In comes text from an operator or a launcher; out comes a value that is safe to store, or the
//! rule it breaks.

use std::fmt;

/// Longest scope name, in characters.
const MAX_SCOPE: usize = 64;

/// Longest comment, in characters.
const MAX_COMMENT: usize = 200;

/// Whose keys and tokens: `[A-Za-z0-9][A-Za-z0-9._-]*`, or the reserved form `%[a-z]+`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScopeName(String);

impl ScopeName {
    /// Accepts both forms; `is_reserved` tells them apart.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text.is_empty() {
            return Err(ScopeError::Empty);
        }
        if text.chars().count() > MAX_SCOPE {
            return Err(ScopeError::TooLong { length: text.chars().count() });
        }
        let well_formed = match text.strip_prefix('%') {
            Some(name) => !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase()),
            None => {
                text.starts_with(|c: char| c.is_ascii_alphanumeric())
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            }
        };
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(ScopeError::Malformed { name: text.to_owned() })
        }
    }

    /// Whether this is a `%name` scope, kept for the sandbox's own host side keys.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with('%')
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The label of an SSH key, shown by `ssh-add -L`: no control characters, at most 200 characters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comment(String);

impl Comment {
    /// A line break would forge a second key line, an escape character a terminal's output.
    pub fn parse(text: &str) -> Result<Self, CommentError> {
        let length = text.chars().count();
        if length > MAX_COMMENT {
            return Err(CommentError::TooLong { length });
        }
        match text.chars().position(char::is_control) {
            Some(position) => Err(CommentError::ControlCharacter { position }),
            None => Ok(Self(text.to_owned())),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a scope name.
#[derive(Debug, PartialEq, Eq)]
pub enum ScopeError {
    Empty,
    TooLong { length: usize },
    Malformed { name: String },
}

impl fmt::Display for ScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("scope name is empty"),
            Self::TooLong { length } => {
                write!(f, "scope name has {length} characters, the limit is {MAX_SCOPE}")
            }
            Self::Malformed { name } => write!(
                f,
                "scope name {name:?} is not made of letters, digits, dots, underscores and dashes \
                 starting with a letter or digit"
            ),
        }
    }
}

impl std::error::Error for ScopeError {}

/// Why a text is not a comment. The text itself is left out: it may spoof the terminal.
#[derive(Debug, PartialEq, Eq)]
pub enum CommentError {
    TooLong { length: usize },
    ControlCharacter { position: usize },
}

impl fmt::Display for CommentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length } => {
                write!(f, "comment has {length} characters, the limit is {MAX_COMMENT}")
            }
            Self::ControlCharacter { position } => {
                write!(f, "comment has a control character at position {position}")
            }
        }
    }
}

impl std::error::Error for CommentError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_reserved_names_are_accepted() {
        for name in ["proj1", "0", "a.b_c-d", "%host", &"a".repeat(64)] {
            assert_eq!(ScopeName::parse(name).unwrap().as_str(), name);
        }
        assert!(ScopeName::parse("%host").unwrap().is_reserved());
        assert!(!ScopeName::parse("host").unwrap().is_reserved());
    }

    #[test]
    fn names_that_could_leave_a_directory_are_refused() {
        for name in ["..", "../x", "a/b", "-x", ".x", "a b", "a\n", "%", "%Host", "%a1", "é", "a\0"]
        {
            assert!(
                matches!(ScopeName::parse(name), Err(ScopeError::Malformed { .. })),
                "{name:?}"
            );
        }
        assert_eq!(ScopeName::parse(""), Err(ScopeError::Empty));
        assert_eq!(ScopeName::parse(&"a".repeat(65)), Err(ScopeError::TooLong { length: 65 }));
    }

    #[test]
    fn comments_are_bounded_and_free_of_control_characters() {
        assert_eq!(Comment::parse("key of Zoë").unwrap().as_str(), "key of Zoë");
        assert_eq!(Comment::parse(""), Ok(Comment::default()));
        assert_eq!(Comment::parse("a\nb"), Err(CommentError::ControlCharacter { position: 1 }));
        assert!(Comment::parse("\u{1b}[2J").is_err());
        assert!(Comment::parse("\u{7f}").is_err());
        assert!(Comment::parse(&"é".repeat(200)).is_ok());
        assert_eq!(Comment::parse(&"a".repeat(201)), Err(CommentError::TooLong { length: 201 }));
    }
}

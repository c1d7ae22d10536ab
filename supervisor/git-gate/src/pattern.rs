//! Patterns of ref names: `*` stands for any characters, `/` among them, as in git's refspecs;
//! everything else for itself.

use std::fmt;

/// So that judging one ref stays cheap whatever the pattern.
const MAX_LENGTH: usize = 256;
const MAX_STARS: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(String);

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PatternError {
    /// `main` alone would match nothing that can be pushed.
    NoFullName(String),
    TooLong {
        bytes: usize,
    },
    TooManyStars(String),
}

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        if !text.starts_with("refs/") {
            return Err(PatternError::NoFullName(text.to_owned()));
        }
        if text.len() > MAX_LENGTH {
            return Err(PatternError::TooLong { bytes: text.len() });
        }
        if text.matches('*').count() > MAX_STARS {
            return Err(PatternError::TooManyStars(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        let Some((start, rest)) = self.0.split_once('*') else { return name == self.0.as_bytes() };
        let Some(mut name) = name.strip_prefix(start.as_bytes()) else { return false };
        // Each part between two stars may take the first place it fits: what follows it then has
        // the most room.
        let mut parts: Vec<&str> = rest.split('*').collect();
        let end = parts.pop().expect("split gives at least one part");
        for part in parts {
            match find(name, part.as_bytes()) {
                Some(at) => name = &name[at + part.len()..],
                None => return false,
            }
        }
        name.ends_with(end.as_bytes())
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() {
        return Some(0);
    }
    text.windows(part.len()).position(|window| window == part)
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFullName(text) => {
                write!(f, "pattern {text:?} does not begin with `refs/`, as in `refs/heads/main`")
            }
            Self::TooLong { bytes } => {
                write!(f, "a pattern has {bytes} bytes, at most {MAX_LENGTH} are possible")
            }
            Self::TooManyStars(text) => {
                write!(f, "pattern {text:?} has more than {MAX_STARS} stars")
            }
        }
    }
}

impl std::error::Error for PatternError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matches(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(name.as_bytes())
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, name, fits) in [
            ("refs/heads/main", "refs/heads/main", true),
            ("refs/heads/main", "refs/heads/main2", false),
            ("refs/heads/agent/*", "refs/heads/agent/a/b", true),
            ("refs/heads/agent/*", "refs/heads/agent", false),
            ("refs/*", "refs/tags/v1", true),
            ("refs/heads/*/wip", "refs/heads/a/b/wip", true),
            ("refs/heads/*/wip", "refs/heads/wip", false),
            ("refs/heads/a*b*c", "refs/heads/abc", true),
            ("refs/heads/a*b*c", "refs/heads/acb", false),
            ("refs/heads/a*a", "refs/heads/a", false),
            ("refs/heads/*b*b", "refs/heads/abab", true),
            ("refs/heads/**", "refs/heads/", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
        assert!(Pattern::parse("refs/heads/*").unwrap().matches(b"refs/heads/\xff"));
    }

    #[test]
    fn patterns_that_could_never_match_or_cost_too_much_are_refused() {
        assert!(matches!(Pattern::parse("main"), Err(PatternError::NoFullName(_))));
        let long = format!("refs/{}", "a".repeat(MAX_LENGTH));
        assert!(matches!(Pattern::parse(&long), Err(PatternError::TooLong { .. })));
        assert!(matches!(Pattern::parse("refs/*********"), Err(PatternError::TooManyStars(_))));
    }

    /// The definition, letter by letter.
    fn slow(pattern: &[u8], name: &[u8]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some((b'*', rest)) => (0..=name.len()).any(|at| slow(rest, &name[at..])),
            Some((byte, rest)) => name.first() == Some(byte) && slow(rest, &name[1..]),
        }
    }

    proptest! {
        #[test]
        fn the_quick_way_agrees_with_the_definition(
            pattern in "refs/[ab*]{0,8}",
            name in "refs/[ab]{0,10}",
        ) {
            let expected = slow(pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(matches(&pattern, &name), expected);
        }
    }
}

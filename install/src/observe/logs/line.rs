//! One line of a container's story.

use std::fmt;

use serde::Serialize;

use crate::output::printable;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// `<time> [<id>] <message>`.
    Hook,
    /// `<time> <level> <program>: <message>`.
    Container,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Line {
    /// As it was written, which sorts as it reads; of a line without one, its predecessor's.
    pub(super) time: String,
    /// `None` for a line of no known form.
    level: Option<String>,
    program: Option<String>,
    message: String,
}

impl Line {
    /// Reads one line; `last` is the time of the line before it.
    pub(super) fn parse(source: Source, text: &str, last: &mut String) -> Self {
        let raw = |last: &String| Self {
            time: last.clone(),
            level: None,
            program: None,
            message: text.to_owned(),
        };
        let Some((time, rest)) = text.split_once(' ').filter(|(time, _)| is_time(time)) else {
            return raw(last);
        };
        time.clone_into(last);
        let known = |level: &str, program: &str, message: &str| Self {
            time: time.to_owned(),
            level: Some(level.to_owned()),
            program: Some(program.to_owned()),
            message: message.to_owned(),
        };
        let parts = match source {
            Source::Hook => rest.split_once("] ").map(|(_, message)| ("INFO", "hook", message)),
            Source::Container => rest.split_once(' ').and_then(|(level, rest)| {
                let (program, message) = rest.trim_start().split_once(": ")?;
                Some((level, program, message))
            }),
        };
        parts.map_or_else(|| raw(last), |(level, program, message)| known(level, program, message))
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ`.
fn is_time(word: &str) -> bool {
    let form = b"0000-00-00T00:00:00Z";
    word.len() == form.len()
        && word.bytes().zip(form).all(|(found, wanted)| match wanted {
            b'0' => found.is_ascii_digit(),
            other => found == *other,
        })
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What a peer sent may be quoted in it: nothing of that reaches the terminal raw.
        let message = printable(&self.message);
        match (&self.level, &self.program) {
            (Some(level), Some(program)) => {
                write!(f, "{} {level:<5} {program}: {message}", self.time)
            }
            _ => f.write_str(&message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_anything_else_is_kept() {
        let mut last = String::new();
        let mut parse = |source, text| Line::parse(source, text, &mut last);
        let hook = parse(Source::Hook, "2026-01-01T00:00:01Z [abc] a: b");
        assert_eq!((hook.program.as_deref(), hook.message.as_str()), (Some("hook"), "a: b"));
        let said = parse(Source::Container, "2026-01-01T00:00:02Z WARN  broker: x: \u{1b}[2J");
        assert_eq!(said.to_string(), "2026-01-01T00:00:02Z WARN  broker: x: \\u{1b}[2J");
        let other = parse(Source::Container, "note: run with RUST_BACKTRACE=1");
        assert_eq!((other.time.as_str(), other.level), ("2026-01-01T00:00:02Z", None));
        assert!(!is_time("2026-01-01T00:00:01+"));
    }
}

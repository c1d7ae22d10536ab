//! The scalars of a YAML file and the mapping keys that lead to each. Sequences, aliases and types
//! are passed over: configuration files of command line programs have plain settings.

use saphyr_parser::{Event, Parser};
use terok_shared::secret::Secret;

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 32;

pub(crate) struct Settings(Vec<Entry>);

/// One scalar. Any of them may be a secret.
pub(crate) struct Entry {
    pub(crate) path: Vec<String>,
    pub(crate) value: Secret<String>,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// The text is no YAML, or nested too deeply, at this line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotYaml {
    pub(crate) line: usize,
}

/// Where in the document the parser is.
enum Level {
    /// In a mapping; the key whose value comes next.
    Mapping(Option<String>),
    Sequence,
}

impl Settings {
    pub(crate) fn parse(text: &str) -> Result<Self, NotYaml> {
        let mut levels: Vec<Level> = Vec::new();
        let mut settings = Vec::new();
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|why| NotYaml { line: why.marker().line() })?;
            match event {
                Event::MappingStart(..) => levels.push(Level::Mapping(None)),
                Event::SequenceStart(..) => levels.push(Level::Sequence),
                Event::MappingEnd | Event::SequenceEnd => {
                    levels.pop();
                    value_is_over(&mut levels);
                }
                Event::Alias(_) => value_is_over(&mut levels),
                // A tag is passed over with the rest: glab marks its tokens `!!null`.
                Event::Scalar(text, ..) => match levels.last_mut() {
                    Some(Level::Mapping(key @ None)) => *key = Some(text.into_owned()),
                    _ => {
                        if let Some(path) = path(&levels) {
                            let (value, line) = (text.into_owned().into(), span.start.line());
                            settings.push(Entry { path, value, line });
                        }
                        value_is_over(&mut levels);
                    }
                },
                _ => {}
            }
            if levels.len() > MAX_DEPTH {
                return Err(NotYaml { line: span.start.line() });
            }
        }
        Ok(Self(settings))
    }

    /// The value that these keys lead to, if it is there and not empty.
    pub(crate) fn get(&self, path: &[&str]) -> Option<&Secret<String>> {
        let found = self.0.iter().find(|entry| entry.path == path);
        found.map(|entry| &entry.value).filter(|value| !value.expose().is_empty())
    }

    /// All of them, in the file's order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }
}

fn value_is_over(levels: &mut [Level]) {
    if let Some(Level::Mapping(key)) = levels.last_mut() {
        // A mapping as a key has no name; what follows is its value.
        *key = if key.is_none() { Some(String::new()) } else { None };
    }
}

/// The keys down to here; `None` within a sequence.
fn path(levels: &[Level]) -> Option<Vec<String>> {
    let keys = levels.iter().map(|level| match level {
        Level::Mapping(key) => key.clone(),
        Level::Sequence => None,
    });
    keys.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(text: &str, path: &[&str]) -> Option<String> {
        Settings::parse(text).unwrap().get(path).map(|value| value.expose().clone())
    }

    #[test]
    fn values_are_found_by_their_keys() {
        let text = "a: 1\nhosts:\n    'h:1':\n        list: [x, {y: z}]\n        token: !!null t-1\n\
                    \x20       empty: ''\n    other: {token: \"q\"}\nlast: |\n  two\n  lines\n";
        assert_eq!(get(text, &["a"]).as_deref(), Some("1"));
        assert_eq!(get(text, &["hosts", "h:1", "token"]).as_deref(), Some("t-1"));
        assert_eq!(get(text, &["hosts", "other", "token"]).as_deref(), Some("q"));
        assert_eq!(get(text, &["last"]).as_deref(), Some("two\nlines\n"));
        for path in [&["hosts"][..], &["hosts", "h:1", "empty"], &["hosts", "h:1", "y"], &[]] {
            assert_eq!(get(text, path), None, "{path:?}");
        }
    }

    #[test]
    fn a_value_knows_its_line() {
        let settings = Settings::parse("# first\na: 1\nb:\n  c: 2\n").unwrap();
        let lines: Vec<usize> = settings.entries().map(|entry| entry.line).collect();
        assert_eq!(lines, [2, 4]);
    }

    #[test]
    fn aliases_and_odd_keys_do_not_shift_what_follows() {
        let text = "base: &b {k: v}\nuse: *b\n? {complex: key}\n: value\n? [a]\n: b\ntoken: t\n";
        assert_eq!(get(text, &["token"]).as_deref(), Some("t"));
        assert_eq!(get(text, &["base", "k"]).as_deref(), Some("v"));
    }

    #[test]
    fn what_is_no_yaml_is_refused_by_its_line() {
        let error = Settings::parse("a: 1\nb: [hunter2\n").err().unwrap();
        assert_eq!(error, NotYaml { line: 3 });
        assert!(Settings::parse(&"[".repeat(1000)).is_err());
        assert_eq!(get("", &["a"]), None);
    }
}

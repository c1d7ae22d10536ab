//! Where a secret is read from: a prompt that does not echo, a file, standard input, or a
//! variable of the environment. Never the command line, which every user of the machine can read.

use std::env;
use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use terok_shared::secret::Secret;

/// Longest secret: an SSH key file or an OAuth login has a few kilobytes.
const MAX_BYTES: usize = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The terminal when there is one, else standard input.
    Operator,
    Stdin,
    File(PathBuf),
    Variable(String),
}

#[derive(Debug)]
pub(crate) enum SecretError {
    Io {
        what: String,
        source: Source,
        why: io::Error,
    },
    TooLong {
        what: String,
    },
    NotText {
        what: String,
    },
    Empty {
        what: String,
    },
    /// More than one line, where one was expected.
    SeveralLines {
        what: String,
    },
    Unset {
        variable: String,
    },
    Different {
        what: String,
    },
}

impl Source {
    /// What an option like `--from-file F|-` says; without it the operator is asked.
    pub(crate) fn of_file(file: Option<&Path>) -> Self {
        match file {
            None => Self::Operator,
            Some(path) if path.as_os_str() == "-" => Self::Stdin,
            Some(path) => Self::File(path.to_owned()),
        }
    }

    /// Whether reading it reads standard input: only one thing can.
    pub(crate) fn takes_stdin(&self) -> bool {
        match self {
            Self::Stdin => true,
            Self::Operator => !can_ask(),
            Self::File(_) | Self::Variable(_) => false,
        }
    }

    /// One line of text, without its line end. `what` is asked for and named in errors.
    pub(crate) fn line(&self, what: &str) -> Result<Secret<String>, SecretError> {
        if *self == Self::Operator && can_ask() {
            return ask(what);
        }
        let text = self.text(what)?;
        let line = text.expose().trim_end_matches(['\n', '\r']);
        if line.is_empty() {
            return Err(SecretError::Empty { what: what.to_owned() });
        }
        if line.contains(['\n', '\r']) {
            return Err(SecretError::SeveralLines { what: what.to_owned() });
        }
        Ok(line.to_owned().into())
    }

    /// A line that is new and must be typed without a mistake: asked for twice.
    pub(crate) fn new_line(&self, what: &str) -> Result<Secret<String>, SecretError> {
        let line = self.line(what)?;
        if *self == Self::Operator
            && can_ask()
            && !ask(&format!("{what} again"))?.matches(line.expose())
        {
            return Err(SecretError::Different { what: what.to_owned() });
        }
        Ok(line)
    }

    pub(crate) fn text(&self, what: &str) -> Result<Secret<String>, SecretError> {
        let bytes = self.bytes(what)?;
        match std::str::from_utf8(bytes.expose()) {
            Ok(text) => Ok(text.to_owned().into()),
            Err(_) => Err(SecretError::NotText { what: what.to_owned() }),
        }
    }

    pub(crate) fn bytes(&self, what: &str) -> Result<Secret<Vec<u8>>, SecretError> {
        let failed = |why| SecretError::Io { what: what.to_owned(), source: self.clone(), why };
        match self {
            Self::Variable(name) => match env::var_os(name) {
                Some(value) => Ok(value.into_encoded_bytes().into()),
                None => Err(SecretError::Unset { variable: name.clone() }),
            },
            Self::File(path) => bounded(what, File::open(path).map_err(failed)?)?.map_err(failed),
            Self::Operator | Self::Stdin => bounded(what, io::stdin().lock())?.map_err(failed),
        }
    }
}

/// Whether there is somebody to ask.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// Asks on the terminal, without echo. `what` is named as in the middle of a sentence.
pub(crate) fn ask(what: &str) -> Result<Secret<String>, SecretError> {
    let mut prompt = what.to_owned();
    if let Some(first) = prompt.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    let typed = rpassword::prompt_password(format!("{prompt}: "))
        .map(Secret::from)
        .map_err(|why| SecretError::Io { what: what.to_owned(), source: Source::Operator, why })?;
    if typed.expose().is_empty() {
        return Err(SecretError::Empty { what: what.to_owned() });
    }
    Ok(typed)
}

fn bounded(what: &str, reader: impl Read) -> Result<io::Result<Secret<Vec<u8>>>, SecretError> {
    // Full size from the start, so that growing leaves no copy behind.
    let mut bytes = Vec::with_capacity(MAX_BYTES + 1);
    let read = reader.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
    let bytes = Secret::from(bytes);
    if bytes.expose().len() > MAX_BYTES {
        return Err(SecretError::TooLong { what: what.to_owned() });
    }
    Ok(read.map(|_| bytes))
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator => f.write_str("the terminal"),
            Self::Stdin => f.write_str("standard input"),
            Self::File(path) => path.display().fmt(f),
            Self::Variable(name) => write!(f, "variable {name}"),
        }
    }
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, source, why } => write!(f, "read {what} from {source}: {why}"),
            Self::TooLong { what } => write!(f, "read {what}: more than {MAX_BYTES} bytes"),
            Self::NotText { what } => write!(f, "read {what}: not UTF-8"),
            Self::Empty { what } => write!(
                f,
                "read {what}: nothing there\n\
                 hint: type it at the prompt, or give it on standard input or in a file"
            ),
            Self::SeveralLines { what } => {
                write!(f, "read {what}: more than one line, expected one")
            }
            Self::Unset { variable } => write!(f, "read variable {variable}: it is not set"),
            Self::Different { what } => write!(f, "read {what}: the two differ"),
        }
    }
}

impl std::error::Error for SecretError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(contents: &[u8]) -> Result<String, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), contents).unwrap();
        Source::of_file(Some(file.path()))
            .line("key")
            .map(|line| line.expose().clone())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_line_end_goes_and_spaces_stay() {
        assert_eq!(line_of(b" s3cret \r\n").unwrap(), " s3cret ");
        assert_eq!(line_of(b"s3cret").unwrap(), "s3cret");
    }

    #[test]
    fn what_is_no_single_line_is_refused_without_quoting_it() {
        for contents in [&b""[..], b"\n", b"one\ntwo\n", b"\xff", &[b'x'; MAX_BYTES + 1]] {
            let error = line_of(contents).unwrap_err();
            assert!(error.starts_with("read key: ") && !error.contains("one\n"), "{error}");
        }
    }

    #[test]
    fn a_dash_is_standard_input() {
        assert_eq!(Source::of_file(Some(Path::new("-"))), Source::Stdin);
        assert_eq!(Source::of_file(None), Source::Operator);
    }
}

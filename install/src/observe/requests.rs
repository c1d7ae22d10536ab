//! How many requests a container has made: lines of the audit file that name it, counted from the
//! file's end so that a file of gigabytes costs no more than a short one.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use jiff::Timestamp;

/// Looked at, in bytes: some ten thousand requests.
const TAIL: u64 = 4 * 1024 * 1024;

/// The end of an audit file.
pub(super) struct Audit {
    text: String,
    /// Whether there is more before it.
    cut: bool,
}

/// A number of requests, or that it is more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Requests {
    pub(super) count: usize,
    pub(super) or_more: bool,
}

impl Audit {
    /// Reads the end of the file; a file that is not there has no requests.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        Self::read_tail(path, TAIL)
    }

    fn read_tail(path: &Path, tail: u64) -> io::Result<Self> {
        let mut file = match File::open(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { text: String::new(), cut: false });
            }
            file => file?,
        };
        let start = file.metadata()?.len().saturating_sub(tail);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(tail).read_to_end(&mut bytes)?;
        Ok(Self { text: String::from_utf8_lossy(&bytes).into_owned(), cut: start > 0 })
    }

    /// Lines of tokens of `subject` since then.
    pub(super) fn count(&self, subject: &str, since: Timestamp) -> Requests {
        let since = since.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        let named = format!("\"subject\":{}", serde_json::Value::from(subject));
        // Half a line at the beginning is a line of somebody's, not counted.
        let whole = self.text.lines().skip(usize::from(self.cut));
        let mut seen_earlier = false;
        let mut count = 0;
        for line in whole {
            // Every writer begins with the time, of the same form up to the second.
            let at = line.strip_prefix("{\"ts\":\"").and_then(|rest| rest.get(..since.len()));
            match at {
                Some(at) if at < since.as_str() => seen_earlier = true,
                Some(_) if line.contains(&named) => count += 1,
                _ => {}
            }
        }
        Requests { count, or_more: self.cut && !seen_earlier }
    }
}

impl std::fmt::Display for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.count, if self.or_more { "+" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(second: u32, subject: &str) -> String {
        format!(
            r#"{{"ts":"2026-01-02T03:04:{second:02}+00:00","scope":"s","subject":"{subject}"}}"#
        )
    }

    #[test]
    fn lines_of_this_subject_since_then_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        let lines =
            [line(1, "web"), line(2, "web"), line(3, "other"), line(4, "web"), "garbage".into()];
        std::fs::write(&path, lines.join("\n")).unwrap();
        let since: Timestamp = "2026-01-02T03:04:02Z".parse().unwrap();
        let counted = Audit::read(&path).unwrap().count("web", since);
        assert_eq!(counted, Requests { count: 2, or_more: false });
    }

    #[test]
    fn a_file_longer_than_we_look_gives_a_lower_bound() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        let lines: Vec<String> = (0..50).map(|n| line(n, "web")).collect();
        std::fs::write(&path, lines.join("\n")).unwrap();
        let audit = Audit::read_tail(&path, 10 * lines[0].len() as u64).unwrap();
        let all = audit.count("web", "2026-01-01T00:00:00Z".parse().unwrap());
        assert!(all.or_more && all.count < 10, "{all:?}");
        assert!(!audit.count("web", "2026-01-02T03:04:45Z".parse().unwrap()).or_more);
        let missing = Audit::read(&dir.path().join("none")).unwrap();
        assert_eq!(missing.count("web", Timestamp::UNIX_EPOCH).to_string(), "0");
    }
}

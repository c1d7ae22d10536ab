//! The audit: one JSON line per signature and per refusal, who wanted what signed for whom,
//! written in one piece to the descriptor the parent handed down. No tokens, no data.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::Write;

use serde::Serialize;
use vault_grant::purpose::Purpose;

/// What every line has instead of an upstream service's name.
const PROVIDER: &str = "ssh";

pub(crate) struct Audit {
    file: Option<File>,
    line: RefCell<Vec<u8>>,
    /// The last write was cut short, so the next line begins with a line break.
    torn: Cell<bool>,
    warned: Cell<bool>,
}

/// One request to sign, as far as it is known.
#[derive(Default)]
pub(crate) struct Entry<'a> {
    pub(crate) scope: &'a str,
    pub(crate) subject: &'a str,
    /// Fingerprint of the key that was asked for.
    pub(crate) key: &'a str,
    pub(crate) purpose: Option<Purpose<'a>>,
    /// Fingerprint of the host that proved itself on this connection.
    pub(crate) host: Option<&'a str>,
    pub(crate) outcome: &'a str,
}

/// Keys and their order are a format other programs read.
#[derive(Serialize)]
struct Line<'a> {
    ts: String,
    scope: &'a str,
    subject: &'a str,
    provider: &'a str,
    kind: &'a str,
    key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    outcome: &'a str,
}

impl Audit {
    pub(crate) fn new(file: Option<File>) -> Self {
        Self { file, line: RefCell::default(), torn: Cell::new(false), warned: Cell::new(false) }
    }

    pub(crate) fn write(&self, entry: &Entry<'_>) {
        let Some(mut file) = self.file.as_ref() else { return };
        let mut text = self.line.borrow_mut();
        text.clear();
        if self.torn.get() {
            text.push(b'\n');
        }
        serde_json::to_writer(&mut *text, &line(entry)).expect("strings are JSON");
        text.push(b'\n');
        // The parent opened the file for appending: one write is one line among other writers'.
        match file.write(&text) {
            Ok(written) => {
                self.torn.set(written < text.len());
                self.warned.set(false);
            }
            Err(why) => {
                if !self.warned.replace(true) {
                    log::warn!("write an audit line: {why}; requests go on");
                }
            }
        }
    }
}

fn line<'a>(entry: &Entry<'a>) -> Line<'a> {
    let (kind, user, namespace) = match entry.purpose {
        Some(Purpose::UserAuth(auth)) => ("userauth", Some(auth.user), None),
        Some(Purpose::SshSig { namespace }) => ("sshsig", None, Some(namespace)),
        None => ("unknown", None, None),
    };
    Line {
        ts: now(),
        scope: entry.scope,
        subject: entry.subject,
        provider: PROVIDER,
        kind,
        key: entry.key,
        user,
        host: entry.host,
        namespace,
        outcome: entry.outcome,
    }
}

/// UTC to the second with a numeric offset, `2026-01-02T03:04:05+00:00`.
fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, SeekFrom};

    fn written(entry: &Entry<'_>) -> String {
        let mut file = tempfile::tempfile().unwrap();
        Audit::new(Some(file.try_clone().unwrap())).write(entry);
        let mut text = String::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_string(&mut text).unwrap();
        let (ts, rest) = text.split_once(r#"","scope""#).unwrap();
        assert_eq!(ts.len(), r#"{"ts":"2026-01-02T03:04:05+00:00"#.len());
        rest.to_owned()
    }

    #[test]
    fn a_line_says_what_was_signed_for_whom() {
        let line = written(&Entry {
            scope: "proj",
            subject: "web",
            key: "SHA256:k",
            purpose: Some(Purpose::SshSig { namespace: "git" }),
            host: None,
            outcome: "ok",
        });
        let expected = concat!(
            r#":"proj","subject":"web","provider":"ssh","kind":"sshsig","key":"SHA256:k","#,
            r#""namespace":"git","outcome":"ok"}"#,
            "\n"
        );
        assert_eq!(line, expected);
    }

    #[test]
    fn a_refusal_of_unknown_data_has_a_line_too() {
        let line = written(&Entry { outcome: "unknown_data", ..Entry::default() });
        assert!(line.contains(r#""kind":"unknown","key":"","outcome":"unknown_data""#), "{line}");
    }

    #[test]
    fn a_file_that_cannot_be_written_stops_nobody() {
        let audit = Audit::new(Some(File::open("/dev/null").unwrap()));
        audit.write(&Entry::default());
        audit.write(&Entry::default());
        assert!(audit.warned.get());
    }
}

//! The audit: one JSON line for each ref that a push moved or was refused to move, written in one
//! piece to the descriptor the parent handed down. No contents, no tokens.

use std::cell::Cell;
use std::fs::File;
use std::io::Write;

use jiff::Timestamp;
use serde::Serialize;

use crate::update::Update;

#[derive(Debug)]
pub(crate) struct Audit {
    file: Option<File>,
    project: String,
    container: String,
    warned: Cell<bool>,
}

/// Shares the first keys with the lines of the other services.
#[derive(Serialize)]
struct Line<'a> {
    ts: String,
    scope: &'a str,
    subject: &'a str,
    kind: &'static str,
    #[serde(rename = "ref")]
    name: String,
    old: &'a str,
    new: &'a str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<&'a str>,
}

impl Audit {
    /// Without a file nothing is recorded.
    pub(crate) fn new(file: Option<File>, project: String, container: String) -> Self {
        Self { file, project, container, warned: Cell::new(false) }
    }

    pub(crate) fn updated(&self, update: &Update<'_>, backup: Option<&str>) {
        self.write(update, "ok", None, backup);
    }

    pub(crate) fn refused(&self, update: &Update<'_>, reason: &str) {
        self.write(update, "refused", Some(reason), None);
    }

    fn write(
        &self,
        update: &Update<'_>,
        outcome: &'static str,
        reason: Option<&str>,
        backup: Option<&str>,
    ) {
        let Some(mut file) = self.file.as_ref() else { return };
        let line = Line {
            ts: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string(),
            scope: &self.project,
            subject: &self.container,
            kind: "push",
            name: String::from_utf8_lossy(update.name).into_owned(),
            old: update.old,
            new: update.new,
            outcome,
            reason,
            backup,
        };
        let mut text = serde_json::to_vec(&line).expect("strings are JSON");
        text.push(b'\n');
        // The file was opened for appending: one write is one line among other writers'.
        if let Err(why) = file.write_all(&text)
            && !self.warned.replace(true)
        {
            log::warn!("write an audit line: {why}; pushes go on");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek, SeekFrom};

    use super::*;
    use crate::update::tests::{NEW, OLD};

    #[test]
    fn a_line_says_who_moved_what_and_how_it_went() {
        let mut file = tempfile::tempfile().unwrap();
        let handed_down = Some(file.try_clone().unwrap());
        let audit = Audit::new(handed_down, "web".to_owned(), "web-1".to_owned());
        let update = Update { old: OLD, new: NEW, name: b"refs/heads/a\"" };
        audit.updated(&update, Some("refs/terok/backup/a/x"));
        audit.refused(&update, "protected");
        let mut text = String::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_string(&mut text).unwrap();
        let lines: Vec<_> =
            text.lines().map(|line| line.split_once(r#","scope""#).unwrap().1).collect();
        let head = format!(
            r#":"web","subject":"web-1","kind":"push","ref":"refs/heads/a\"","old":"{OLD}","new":"{NEW}""#
        );
        assert_eq!(
            lines,
            [
                format!(r#"{head},"outcome":"ok","backup":"refs/terok/backup/a/x"}}"#),
                format!(r#"{head},"outcome":"refused","reason":"protected"}}"#),
            ]
        );
    }
}

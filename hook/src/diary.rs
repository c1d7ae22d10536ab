//! The diary: one line per event in `<state root>/logs/hook.log`, and the same on standard error
//! (which runc shows and crun does not).

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use terok_shared::container::ContainerId;
use terok_shared::layout::StateRoot;

use crate::operator;

pub struct Diary(Option<File>);

impl Diary {
    /// The diary of `root`; without one, or when it cannot be written, standard error alone.
    pub fn open(root: Option<&Path>) -> Self {
        Self(root.filter(|root| operator::owns(root)).and_then(|root| {
            let root = StateRoot::new(root);
            // It exists, most often.
            let _ = DirBuilder::new().mode(0o700).create(root.logs());
            OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .custom_flags(libc::O_NOFOLLOW)
                .open(root.diary())
                .ok()
        }))
    }

    pub fn write(&self, id: Option<&ContainerId>, message: &str) {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
        let line =
            format!("{now} [{}] {}\n", id.map_or("-", ContainerId::short), one_line(message));
        // One write per line, so that hooks of two containers do not mix. Nothing is left to say
        // when both fail.
        let _ = self.0.as_ref().map(|mut file| file.write_all(line.as_bytes()));
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// Messages quote peers: no control character may forge a line.
fn one_line(message: &str) -> String {
    message.replace('\n', "; ").chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_with_time_and_short_id() {
        let dir = tempfile::tempdir().unwrap();
        let id = ContainerId::parse("0123456789abcdef").unwrap();
        let diary = Diary::open(Some(dir.path()));
        diary.write(Some(&id), "refused\nhint: \u{1b}[31mdo");
        diary.write(None, "second");
        let text = std::fs::read_to_string(dir.path().join("logs/hook.log")).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(&lines[0][20..], " [0123456789ab] refused; hint: ?[31mdo");
        assert_eq!(&lines[0][19..20], "Z");
        assert!(lines[1].ends_with("[-] second"));
    }

    #[test]
    fn a_symlink_in_place_of_the_diary_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("logs")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("victim"), dir.path().join("logs/hook.log"))
            .unwrap();
        Diary::open(Some(dir.path())).write(None, "x");
        assert!(!dir.path().join("victim").exists());
    }
}

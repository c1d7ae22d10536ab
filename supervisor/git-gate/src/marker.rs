//! The push marker: one small file in the repository, rewritten by every push, so that the host
//! can watch one modification time instead of polling refs.
//!
//! Lines: the time (RFC 3339, UTC), the updated refs as git gave them, then notes on backups.

use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;

const NAME: &str = "terok-push-marker";

/// Writes the marker of a push at `now` in one step; a reader sees the old one or the new one.
pub(crate) fn write(
    git_directory: &Path,
    now: Timestamp,
    updates: &[u8],
    notes: &[Vec<u8>],
) -> io::Result<()> {
    let fresh = git_directory.join(format!("{NAME}.{}", std::process::id()));
    let written = fs::write(&fresh, text(now, updates, notes))
        .and_then(|()| fs::rename(&fresh, git_directory.join(NAME)));
    if written.is_err() {
        // Nothing is lost when this fails too: the name is unique and the file small.
        let _ = fs::remove_file(&fresh);
    }
    written
}

fn text(now: Timestamp, updates: &[u8], notes: &[Vec<u8>]) -> Vec<u8> {
    let mut text = now.strftime("%Y-%m-%dT%H:%M:%S.%6f+00:00\n").to_string().into_bytes();
    text.extend_from_slice(updates);
    if !updates.is_empty() && !updates.ends_with(b"\n") {
        text.push(b'\n');
    }
    for note in notes {
        text.extend_from_slice(note);
        text.push(b'\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_updates_and_notes_are_lines_in_this_order() {
        let now = Timestamp::new(1_767_322_645, 6_000_000).unwrap();
        let marker = text(now, b"a b refs/heads/x", &[b"backed-up r".to_vec()]);
        assert_eq!(
            String::from_utf8(marker).unwrap(),
            "2026-01-02T02:57:25.006000+00:00\na b refs/heads/x\nbacked-up r\n"
        );
    }
}

//! What the hooks tell the gate about each ref, over a pipe: one line per ref.
//!
//! `refused <old> <new> <ref> <reason>` before anything is changed, `updated <old> <new> <ref>
//! <backup or ->` afterwards. Ref names hold neither spaces nor control characters
//! (git-check-ref-format(1)), so a line has one meaning.

use std::os::fd::RawFd;

use crate::update::Update;

/// Where a hook finds the pipe's writing end. git leaves descriptors it does not know open.
pub(crate) const NEWS_FD: RawFd = 3;
/// Longest line the gate reads; names of refs have at most a few hundred bytes.
pub(crate) const MAX_LINE: usize = 16 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum News<'a> {
    Refused { update: Update<'a>, reason: &'a str },
    Updated { update: Update<'a>, backup: Option<&'a str> },
}

/// The line for a ref that stays as it is.
pub(crate) fn refused(update: &Update<'_>, reason: &str) -> Vec<u8> {
    line("refused", update, reason.as_bytes())
}

/// The line for a ref that was moved; `backup` is where its old tip went.
pub(crate) fn updated(update: &Update<'_>, backup: Option<&[u8]>) -> Vec<u8> {
    line("updated", update, backup.unwrap_or(b"-"))
}

fn line(what: &str, update: &Update<'_>, rest: &[u8]) -> Vec<u8> {
    let head = format!("{what} {} {} ", update.old, update.new);
    [head.as_bytes(), update.name, b" ", rest, b"\n"].concat()
}

/// Reads a line without its end; `None` for anything else.
pub(crate) fn parse(line: &[u8]) -> Option<News<'_>> {
    let (what, rest) = split(line)?;
    // Two object names and their spaces, then the ref up to the next space.
    let name_at = rest.iter().enumerate().filter(|(_, byte)| **byte == b' ').nth(1)?.0 + 1;
    let name_end = name_at + rest[name_at..].iter().position(|&byte| byte == b' ')?;
    let update = Update::parse(&rest[..name_end])?;
    let last = std::str::from_utf8(&rest[name_end + 1..]);
    match what {
        b"refused" => Some(News::Refused { update, reason: last.ok()? }),
        b"updated" => Some(News::Updated { update, backup: last.ok().filter(|name| *name != "-") }),
        _ => None,
    }
}

fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = line.iter().position(|&byte| byte == b' ')?;
    Some((&line[..space], &line[space + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::update::tests::{NEW, OLD};

    fn update(name: &[u8]) -> Update<'_> {
        Update { old: OLD, new: NEW, name }
    }

    #[test]
    fn what_is_written_is_read() {
        let update = update(b"refs/heads/a\xff");
        let line = refused(&update, "not a fast-forward");
        let read = parse(line.strip_suffix(b"\n").unwrap());
        assert_eq!(read, Some(News::Refused { update, reason: "not a fast-forward" }));
        let line = updated(&update, None);
        let read = parse(line.strip_suffix(b"\n").unwrap());
        assert_eq!(read, Some(News::Updated { update, backup: None }));
        let line = updated(&update, Some(b"refs/terok/backup/x"));
        let read = parse(line.strip_suffix(b"\n").unwrap());
        assert_eq!(read, Some(News::Updated { update, backup: Some("refs/terok/backup/x") }));
    }

    proptest! {
        #[test]
        fn any_line_is_answered(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&line);
        }
    }
}

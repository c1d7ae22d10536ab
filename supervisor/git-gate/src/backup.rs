//! Which pushed refs need their old tip saved, and under which name. Pure: the hook does the deed.

/// One line of the hook's standard input: `<old> <new> <ref>` (githooks(5), "post-receive").
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Update<'a> {
    pub(crate) old: &'a str,
    pub(crate) new: &'a str,
    /// A ref name is bytes; git does not ask for UTF-8.
    pub(crate) name: &'a [u8],
}

/// What a pushed ref asks of us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Not a branch, or a new one: nothing was lost.
    Nothing,
    /// A deleted branch: its old tip is to be saved.
    Backup,
    /// A moved branch: its old tip is to be saved unless the move was a fast-forward.
    BackupUnlessForwarded,
}

const HEADS: &[u8] = b"refs/heads/";
const BACKUPS: &[u8] = b"refs/terok/backup/";
/// Digits of the old tip in a backup's name.
const SHORT: usize = 12;

impl<'a> Update<'a> {
    /// `None` for a line of another form.
    pub(crate) fn parse(line: &'a [u8]) -> Option<Self> {
        let mut parts = line.splitn(3, |&byte| byte == b' ');
        let old = object_name(parts.next()?)?;
        let new = object_name(parts.next()?)?;
        let name = parts.next().filter(|name| !name.is_empty())?;
        Some(Self { old, new, name })
    }

    /// The branch's name without `refs/heads/`; `None` for any other ref.
    pub(crate) fn branch(&self) -> Option<&'a [u8]> {
        self.name.strip_prefix(HEADS)
    }

    pub(crate) fn need(&self) -> Need {
        if self.branch().is_none() || is_null(self.old) {
            Need::Nothing
        } else if is_null(self.new) {
            Need::Backup
        } else {
            Need::BackupUnlessForwarded
        }
    }
}

/// `refs/terok/backup/<branch>/<stamp>-<first 12 of the old tip>`; `stamp` is UTC in
/// `%Y%m%dT%H%M%SZ`.
pub(crate) fn name(branch: &[u8], stamp: &str, old: &str) -> Vec<u8> {
    let short = &old[..old.len().min(SHORT)];
    [BACKUPS, branch, b"/", stamp.as_bytes(), b"-", short.as_bytes()].concat()
}

/// SHA-1 or SHA-256 in hex.
fn object_name(word: &[u8]) -> Option<&str> {
    let fits = matches!(word.len(), 40 | 64) && word.iter().all(u8::is_ascii_hexdigit);
    if fits { std::str::from_utf8(word).ok() } else { None }
}

fn is_null(object: &str) -> bool {
    object.bytes().all(|digit| digit == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "1111111111112222222222223333333333334444";
    const NEW: &str = "5555555555552222222222223333333333334444";
    const NULL: &str = "0000000000000000000000000000000000000000";

    fn need(old: &str, new: &str, name: &str) -> Need {
        Update::parse(format!("{old} {new} {name}").as_bytes()).unwrap().need()
    }

    #[test]
    fn deleted_and_moved_branches_need_a_backup() {
        assert_eq!(need(OLD, NULL, "refs/heads/main"), Need::Backup);
        assert_eq!(need(OLD, NEW, "refs/heads/a/b"), Need::BackupUnlessForwarded);
    }

    #[test]
    fn new_branches_and_other_refs_need_none() {
        assert_eq!(need(NULL, NEW, "refs/heads/main"), Need::Nothing);
        assert_eq!(need(OLD, NULL, "refs/tags/v1"), Need::Nothing);
        assert_eq!(need(&"0".repeat(64), &"1".repeat(64), "refs/heads/main"), Need::Nothing);
    }

    #[test]
    fn a_backups_name_has_branch_stamp_and_twelve_digits() {
        assert_eq!(
            name(b"feature/x", "20260102T030405Z", OLD),
            b"refs/terok/backup/feature/x/20260102T030405Z-111111111111"
        );
        assert_eq!(name(b"\xff", "S", OLD), b"refs/terok/backup/\xff/S-111111111111");
    }

    #[test]
    fn lines_of_another_form_are_none() {
        for line in ["", "a b c", &format!("{OLD} {NEW}"), &format!("{OLD} {NEW} ")] {
            assert_eq!(Update::parse(line.as_bytes()), None, "{line}");
        }
    }
}

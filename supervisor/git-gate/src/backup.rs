//! Which pushed refs need their old tip saved, and under which name. Pure: the hooks do the deed.

use crate::update::Update;

/// What a pushed ref asks of us.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Not a branch, or a new one: nothing is lost.
    Nothing,
    /// A deleted branch: its old tip is to be saved.
    Backup,
    /// A moved branch: its old tip is to be saved unless the move is a fast-forward.
    BackupUnlessForwarded,
}

const BACKUPS: &[u8] = b"refs/terok/backup/";
/// Digits of the old tip in a backup's name.
const SHORT: usize = 12;

pub(crate) fn need(update: &Update<'_>) -> Need {
    if update.branch().is_none() {
        Need::Nothing
    } else if update.moves() {
        Need::BackupUnlessForwarded
    } else if update.deletes() {
        Need::Backup
    } else {
        Need::Nothing
    }
}

/// `refs/terok/backup/<branch>/<stamp>-<first 12 of the old tip>`; `stamp` is UTC in
/// `%Y%m%dT%H%M%SZ`.
pub(crate) fn name(branch: &[u8], stamp: &str, old: &str) -> Vec<u8> {
    let short = &old[..old.len().min(SHORT)];
    [&directory(branch), stamp.as_bytes(), b"-", short.as_bytes()].concat()
}

/// Where the backups of a branch are, with a slash at the end.
pub(crate) fn directory(branch: &[u8]) -> Vec<u8> {
    [BACKUPS, branch, b"/"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::tests::{NEW, NULL, OLD};

    fn need_of(old: &str, new: &str, name: &str) -> Need {
        need(&Update::parse(format!("{old} {new} {name}").as_bytes()).unwrap())
    }

    #[test]
    fn deleted_and_moved_branches_need_a_backup() {
        assert_eq!(need_of(OLD, NULL, "refs/heads/main"), Need::Backup);
        assert_eq!(need_of(OLD, NEW, "refs/heads/a/b"), Need::BackupUnlessForwarded);
    }

    #[test]
    fn new_branches_and_other_refs_need_none() {
        assert_eq!(need_of(NULL, NEW, "refs/heads/main"), Need::Nothing);
        assert_eq!(need_of(OLD, NULL, "refs/tags/v1"), Need::Nothing);
        assert_eq!(need_of(&"0".repeat(64), &"1".repeat(64), "refs/heads/main"), Need::Nothing);
    }

    #[test]
    fn a_backups_name_has_branch_stamp_and_twelve_digits() {
        assert_eq!(
            name(b"feature/x", "20260102T030405Z", OLD),
            b"refs/terok/backup/feature/x/20260102T030405Z-111111111111"
        );
        assert_eq!(name(b"\xff", "S", OLD), b"refs/terok/backup/\xff/S-111111111111");
    }
}

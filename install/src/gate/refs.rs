//! Refs of a mirror, read at once and moved in transactions (git-update-ref(1), `--stdin`).

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;

use super::mirror::{Mirror, MirrorError};

pub(super) const SNAPSHOT: &str = "refs/terok/upstream/";
/// What upstream had and has no more, with the last tip it had.
pub(super) const GONE: &str = "refs/terok/gone/";
pub(super) const BACKUP: &str = "refs/terok/backup/";
/// Backups of anything but branches; the contract knows only those.
pub(super) const OTHER_BACKUP: &str = "refs/terok/backup-of/";
pub(super) const HEADS: &str = "refs/heads/";
/// Digits of the old tip in a backup's name.
const SHORT: usize = 12;

/// Names without a prefix, and what they point at.
pub(super) type Refs = BTreeMap<String, String>;

/// One line of a transaction. git checks `old` while it holds the ref's lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Create {
        name: String,
        new: String,
    },
    Update {
        name: String,
        new: String,
        old: String,
    },
    /// Whatever it was.
    Set {
        name: String,
        new: String,
    },
    Delete {
        name: String,
        old: String,
    },
}

impl Mirror {
    /// The refs below `prefix`, which ends with a slash.
    pub(super) fn refs(&self, prefix: &str) -> Result<Refs, MirrorError> {
        let listed = self.ask(&["for-each-ref", "--format=%(objectname) %(refname)", prefix])?;
        let of_line = |line: &str| {
            let (object, name) = line.split_once(' ')?;
            Some((name.strip_prefix(prefix)?.to_owned(), object.to_owned()))
        };
        Ok(listed.lines().filter_map(of_line).collect())
    }

    /// Moves refs, all or none.
    pub(super) fn move_refs(&self, moves: &[Move]) -> Result<(), MirrorError> {
        if moves.is_empty() {
            return Ok(());
        }
        let what = || "update-ref".to_owned();
        let mut git = self.git(&["update-ref", "--stdin"]);
        git.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = git.spawn().map_err(|why| MirrorError::Run { what: what(), why })?;
        let lines: String = moves.iter().map(Move::line).collect();
        // When git ends early it says why, which is the better message.
        let _ = child.stdin.take().expect("it is a pipe").write_all(lines.as_bytes());
        let output =
            child.wait_with_output().map_err(|why| MirrorError::Run { what: what(), why })?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(MirrorError::Git { what: what(), said })
    }

    pub(super) fn is_ancestor(&self, old: &str, new: &str) -> Result<bool, MirrorError> {
        self.tells(&["merge-base", "--is-ancestor", old, new])
    }
}

impl Move {
    fn line(&self) -> String {
        match self {
            Self::Create { name, new } => format!("create {name} {new}\n"),
            Self::Update { name, new, old } => format!("update {name} {new} {old}\n"),
            Self::Set { name, new } => format!("update {name} {new}\n"),
            Self::Delete { name, old } => format!("delete {name} {old}\n"),
        }
    }
}

/// The name under which the old tip of a ref is kept. `stamp` is UTC in `%Y%m%dT%H%M%SZ`.
pub(super) fn backup_of(name: &str, old: &str, stamp: &str) -> String {
    let short = &old[..old.len().min(SHORT)];
    match name.strip_prefix(HEADS) {
        Some(branch) => format!("{BACKUP}{branch}/{stamp}-{short}"),
        None => format!("{OTHER_BACKUP}{}/{stamp}-{short}", name.trim_start_matches("refs/")),
    }
}

/// Now, as names of backups have it.
pub(super) fn stamp() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "1111111111112222222222223333333333334444";

    #[test]
    fn backups_of_branches_are_where_the_gate_makes_its_own() {
        assert_eq!(
            backup_of("refs/heads/a/b", OLD, "20260102T030405Z"),
            "refs/terok/backup/a/b/20260102T030405Z-111111111111"
        );
        assert_eq!(
            backup_of("refs/tags/v1", OLD, "S"),
            "refs/terok/backup-of/tags/v1/S-111111111111"
        );
    }
}

//! `gate backups`, `restore` and `prune`: old tips of branches, as the gate and `sync` saved them.

use std::fmt;
use std::fs;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde_json::json;

use super::mirror::{Mirror, MirrorError};
use super::refs::{BACKUP, HEADS, Move, backup_of, stamp};
use crate::Failure;
use crate::cli::{BackupsArgs, PruneArgs, RestoreArgs};
use crate::directories::Directories;
use crate::output::{count, print, print_json, remark, table, tell};

const STAMP: &str = "%Y%m%dT%H%M%SZ";
/// git's own word for an unfinished push's objects; a running push has them too.
const QUARANTINE: &str = "tmp_objdir-";
/// No push takes that long.
const SURELY_DEAD: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug)]
enum BackupError {
    None { name: String },
    NoBranch { name: String },
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Backup {
    /// Without `refs/terok/backup/`.
    name: String,
    branch: String,
    /// When it was taken, as in its name.
    stamp: String,
    tip: String,
    subject: String,
}

pub(super) fn list(directories: &Directories, args: &BackupsArgs) -> Result<(), Failure> {
    let mirror = Mirror::open(directories, &args.mirror)?;
    let backups = all(&mirror)?;
    if args.json {
        print_json(&backups)?;
    } else if backups.is_empty() {
        remark("no backups");
    } else {
        let row = |one: &Backup| {
            vec![one.name.clone(), one.tip.chars().take(12).collect(), one.subject.clone()]
        };
        let rows: Vec<Vec<String>> = backups.iter().map(row).collect();
        print(&table(&["BACKUP", "TIP", "SUBJECT"], &rows))?;
    }
    Ok(())
}

pub(super) fn restore(directories: &Directories, args: &RestoreArgs) -> Result<(), Failure> {
    let mirror = Mirror::open(directories, &args.mirror)?;
    let _claim = mirror.claim()?;
    let wanted = args.backup.strip_prefix(BACKUP).unwrap_or(&args.backup);
    let backup = all(&mirror)?
        .into_iter()
        .find(|one| one.name == wanted)
        .ok_or_else(|| BackupError::None { name: wanted.to_owned() })?;
    let branch = args.to.as_ref().unwrap_or(&backup.branch);
    let name = format!("{HEADS}{branch}");
    if branch.is_empty() || !mirror.tells(&["check-ref-format", &name])? {
        return Err(BackupError::NoBranch { name: branch.clone() }.into());
    }
    let new = backup.tip;
    match mirror.refs(HEADS)?.remove(branch) {
        Some(old) if old == new => {
            let told = format!("{branch} is there already");
            tell(args.json, &told, &json!({ "branch": branch, "changed": false }))?;
        }
        Some(old) => {
            let saved = backup_of(&name, &old, &stamp());
            mirror.move_refs(&[Move::Set { name: saved.clone(), new: old.clone() }])?;
            mirror.move_refs(&[Move::Update { name, new, old }])?;
            let told = format!("{branch} is back; what it was is {saved}");
            tell(args.json, &told, &json!({ "branch": branch, "changed": true, "saved": saved }))?;
        }
        None => {
            mirror.move_refs(&[Move::Create { name, new }])?;
            let told = format!("{branch} is back");
            tell(args.json, &told, &json!({ "branch": branch, "changed": true }))?;
        }
    }
    Ok(())
}

pub(super) fn prune(directories: &Directories, args: &PruneArgs) -> Result<(), Failure> {
    let mirror = Mirror::open(directories, &args.mirror)?;
    let _claim = mirror.claim()?;
    let age = Duration::from_secs(u64::from(args.older_than) * 24 * 60 * 60);
    let limit = jiff::Timestamp::try_from(SystemTime::now() - age)?.strftime(STAMP).to_string();
    let old: Vec<Backup> =
        all(&mirror)?.into_iter().filter(|one| is_older(&one.stamp, &limit)).collect();
    let dead = dead_quarantines(&mirror);
    let names: Vec<&str> = old.iter().map(|one| one.name.as_str()).collect();
    let facts = json!({
        "removed": !args.dry_run,
        "backups": names,
        "unfinished_pushes": dead.len(),
    });
    if args.dry_run {
        if args.json || !names.is_empty() {
            tell(args.json, &names.join("\n"), &facts)?;
        }
        let unfinished = count(dead.len(), "unfinished push");
        remark(&format!(
            "would remove {} and what is left of {unfinished}",
            count(old.len(), "backup")
        ));
        return Ok(());
    }
    let delete =
        |one: &Backup| Move::Delete { name: format!("{BACKUP}{}", one.name), old: one.tip.clone() };
    mirror.move_refs(&old.iter().map(delete).collect::<Vec<_>>())?;
    for path in &dead {
        if let Err(why) = fs::remove_dir_all(path) {
            remark(&format!("warning: remove {}: {why}", path.display()));
        }
    }
    // Objects younger than two weeks stay: a push may be about to use them.
    mirror.ask(&["gc", "--quiet", "--prune=2.weeks.ago"])?;
    Ok(tell(args.json, &format!("removed {}", count(old.len(), "backup")), &facts)?)
}

/// Stamps of one form sort as the times they stand for.
fn is_older(stamp: &str, limit: &str) -> bool {
    stamp.len() == limit.len() && stamp <= limit
}

fn dead_quarantines(mirror: &Mirror) -> Vec<std::path::PathBuf> {
    let Ok(entries) = fs::read_dir(mirror.path.join("objects")) else { return Vec::new() };
    let is_dead = |entry: &fs::DirEntry| {
        let age = entry.metadata().and_then(|facts| facts.modified()).map(|time| time.elapsed());
        entry.file_name().to_string_lossy().starts_with(QUARANTINE)
            && age.is_ok_and(|age| age.is_ok_and(|age| age > SURELY_DEAD))
    };
    entries.flatten().filter(is_dead).map(|entry| entry.path()).collect()
}

/// The newest of each branch first.
fn all(mirror: &Mirror) -> Result<Vec<Backup>, MirrorError> {
    let format = "--format=%(objectname) %(refname) %(contents:subject)";
    let listed = mirror.ask(&["for-each-ref", "--sort=-refname", format, BACKUP])?;
    Ok(listed.lines().filter_map(parse).collect())
}

fn parse(line: &str) -> Option<Backup> {
    let mut words = line.splitn(3, ' ');
    let (tip, name) = (words.next()?, words.next()?.strip_prefix(BACKUP)?);
    let (branch, leaf) = name.rsplit_once('/')?;
    let (stamp, _short) = leaf.split_once('-')?;
    Some(Backup {
        name: name.to_owned(),
        branch: branch.to_owned(),
        stamp: stamp.to_owned(),
        tip: tip.to_owned(),
        subject: words.next().unwrap_or_default().to_owned(),
    })
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None { name } => write!(
                f,
                "restore {name:?}: there is no such backup\n\
                 hint: `terokctl gate backups` lists them"
            ),
            Self::NoBranch { name } => write!(f, "restore: {name:?} cannot name a branch"),
        }
    }
}

impl std::error::Error for BackupError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backups_name_tells_branch_and_time() {
        let backup = parse("abc refs/terok/backup/a/b/20260102T030405Z-abc a subject").unwrap();
        assert_eq!((backup.branch.as_str(), backup.stamp.as_str()), ("a/b", "20260102T030405Z"));
        assert_eq!(
            (backup.name.as_str(), backup.subject.as_str()),
            ("a/b/20260102T030405Z-abc", "a subject")
        );
        assert_eq!(parse("abc refs/terok/backup/x"), None);
    }

    #[test]
    fn age_is_read_off_the_stamp() {
        assert!(is_older("20260101T000000Z", "20260102T000000Z"));
        assert!(!is_older("20260103T000000Z", "20260102T000000Z"));
        assert!(!is_older("x", "20260102T000000Z"));
    }
}

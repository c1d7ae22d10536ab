//! `gate sync`: the snapshot is renewed, what loses nothing is taken over, the rest is listed and
//! taken over on request, after a backup.

use std::fmt;

use serde::Serialize;

use super::compare::{Difference, Kind, compare};
use super::fetch::Access;
use super::mirror::{Mirror, MirrorError};
use super::refs::{GONE, Move, SNAPSHOT, stamp};
use super::snapshot;
use super::upstream::Upstream;
use crate::Failure;
use crate::cli::SyncArgs;
use crate::directories::Directories;
use crate::output::{count, print, print_json, remark, table};
use crate::private_file;

/// Holds the time of the last sync.
pub(super) const MARKER: &str = "terok-sync-marker";

#[derive(Debug)]
pub(super) enum SyncError {
    NoUpstream {
        project: String,
    },
    NotPending {
        word: String,
    },
    /// Somebody pushed at the same time, or a name is in the way.
    NotTakenOver {
        refs: usize,
    },
}

/// Which pending changes are wanted too.
#[derive(Debug)]
pub(super) enum Wanted<'a> {
    Named(&'a [String]),
    All,
}

/// A difference, and what became of it.
#[derive(Debug, Serialize)]
pub(super) struct Outcome {
    #[serde(flatten)]
    difference: Difference,
    taken_over: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn run(directories: &Directories, args: &SyncArgs) -> Result<(), Failure> {
    let mirror = Mirror::open(directories, &args.mirror)?;
    let _claim = mirror.claim()?;
    let upstream = Upstream::of(&mirror)?
        .ok_or_else(|| SyncError::NoUpstream { project: mirror.project.to_string() })?;
    let access = Access::to(&upstream, &mirror, directories, &args.unlock)?;
    let wanted = if args.apply_all { Wanted::All } else { Wanted::Named(&args.apply) };
    let outcomes = synchronise(&mirror, &upstream, &access, &wanted)?;
    drop(access);
    if args.json {
        print_json(&outcomes)?;
    } else {
        tell(&mirror, &outcomes)?;
    }
    match outcomes.iter().filter(|outcome| outcome.error.is_some()).count() {
        0 => Ok(()),
        refs => Err(SyncError::NotTakenOver { refs }.into()),
    }
}

/// The whole of it, on a mirror that nobody else syncs meanwhile.
pub(super) fn synchronise(
    mirror: &Mirror,
    upstream: &Upstream,
    access: &Access,
    wanted: &Wanted<'_>,
) -> Result<Vec<Outcome>, Failure> {
    let listing = snapshot::refresh(mirror, upstream, access)?;
    let differences = differences(mirror)?;
    let is_wanted =
        |one: &Difference| one.kind.is_safe() || one.kind.is_pending() && wanted.names(one);
    wanted.check(&differences)?;
    let (take, leave): (Vec<_>, Vec<_>) = differences.into_iter().partition(is_wanted);
    let mut outcomes = take_over(mirror, take)?;
    let left = |difference| Outcome { difference, taken_over: false, error: None };
    outcomes.extend(leave.into_iter().map(left));
    if let Some(head) = &listing.head {
        settle_head(mirror, head)?;
    }
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ\n").to_string();
    private_file::replace(&mirror.path.join(MARKER), now.as_bytes())?;
    Ok(outcomes)
}

/// How the mirror and the last snapshot differ.
pub(super) fn differences(mirror: &Mirror) -> Result<Vec<Difference>, MirrorError> {
    let mut ours = mirror.refs("refs/")?;
    ours.retain(|name, _| name.starts_with("heads/") || name.starts_with("tags/"));
    let (snapshot, gone) = (mirror.refs(SNAPSHOT)?, mirror.refs(GONE)?);
    compare(&ours, &snapshot, &gone, |old, new| mirror.is_ancestor(old, new))
}

/// Backups first, in a transaction of their own.
fn take_over(mirror: &Mirror, wanted: Vec<Difference>) -> Result<Vec<Outcome>, MirrorError> {
    let now = stamp();
    let backups: Vec<Move> = wanted.iter().filter_map(|one| one.backup(&now)).collect();
    mirror.move_refs(&backups)?;
    let moves: Vec<Move> = wanted.iter().filter_map(Difference::take_over).collect();
    let all_at_once = mirror.move_refs(&moves).is_ok();
    let mut outcomes = Vec::new();
    for difference in wanted {
        let alone = difference.take_over().filter(|_| !all_at_once);
        let error = alone.and_then(|one| mirror.move_refs(&[one]).err()).map(|why| why.to_string());
        outcomes.push(Outcome { taken_over: error.is_none(), difference, error });
    }
    Ok(outcomes)
}

/// An empty mirror's HEAD follows upstream's; later it is the operator's.
fn settle_head(mirror: &Mirror, head: &str) -> Result<(), MirrorError> {
    let is_there = |name: &str| mirror.tells(&["show-ref", "--verify", "--quiet", name]);
    let ours = mirror.ask(&["symbolic-ref", "HEAD"])?;
    if !is_there(ours.trim())? && is_there(head)? {
        mirror.ask(&["symbolic-ref", "HEAD", head])?;
    }
    Ok(())
}

impl Wanted<'_> {
    fn names(&self, difference: &Difference) -> bool {
        match self {
            Self::All => true,
            Self::Named(words) => words.iter().any(|word| difference.is_meant_by(word)),
        }
    }

    /// A word that means nothing pending is a mistake, told before anything is done.
    fn check(&self, differences: &[Difference]) -> Result<(), SyncError> {
        let Self::Named(words) = self else { return Ok(()) };
        let known = |word: &&String| differences.iter().any(|one| one.is_meant_by(word));
        match words.iter().find(|word| !known(word)) {
            None => Ok(()),
            Some(word) => Err(SyncError::NotPending { word: word.clone() }),
        }
    }
}

fn tell(mirror: &Mirror, outcomes: &[Outcome]) -> Result<(), Failure> {
    let taken = |kind: Kind| {
        outcomes.iter().filter(|one| one.taken_over && one.difference.kind == kind).count()
    };
    let (new, forward) = (taken(Kind::New), taken(Kind::Forward));
    let applied = outcomes.iter().filter(|one| one.taken_over && one.difference.kind.is_pending());
    print(&format!(
        "{}: {new} new, {forward} forwarded, {} applied",
        mirror.project,
        applied.count()
    ))?;
    for outcome in outcomes {
        if let Some(why) = &outcome.error {
            remark(&format!("{}: not taken over: {why}", outcome.difference.short()));
        }
    }
    let pending: Vec<&Difference> = outcomes
        .iter()
        .filter(|one| !one.taken_over && one.difference.kind.is_pending())
        .map(|one| &one.difference)
        .collect();
    if !pending.is_empty() {
        print(&format!("{} pending:", count(pending.len(), "change")))?;
        print(&rows(&pending))?;
        let (project, first) = (&mirror.project, pending[0].short());
        remark(&format!("hint: `terokctl gate sync {project} --apply {first}` takes one over"));
    }
    Ok(())
}

/// A table of differences.
pub(super) fn rows(differences: &[&Difference]) -> String {
    let short = |object: &Option<String>| {
        object.as_ref().map_or("-", |object| &object[..object.len().min(12)]).to_owned()
    };
    let rows: Vec<Vec<String>> = differences
        .iter()
        .map(|one| {
            let words = one.kind.words().to_owned();
            vec![one.short().to_owned(), words, short(&one.mirror), short(&one.upstream)]
        })
        .collect();
    table(&["REF", "STATE", "MIRROR", "UPSTREAM"], &rows)
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUpstream { project } => write!(
                f,
                "sync {project}: the mirror has no upstream\n\
                 hint: `terokctl gate init PROJECT --from URL` makes one that has"
            ),
            Self::NotPending { word } => write!(
                f,
                "apply {word:?}: upstream and mirror do not differ there\n\
                 hint: `terokctl gate status` lists the differences"
            ),
            Self::NotTakenOver { refs } => write!(
                f,
                "{} could not be taken over\nhint: try again, somebody may have pushed",
                count(*refs, "ref")
            ),
        }
    }
}

impl std::error::Error for SyncError {}

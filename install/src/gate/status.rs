//! `gate status`: a mirror's whereabouts, and how it and the last snapshot of its upstream differ.

use serde::Serialize;
use serde_json::json;

use super::compare::{Difference, Kind};
use super::mirror::{Mirror, MirrorError};
use super::refs::BACKUP;
use super::sync::{self, MARKER};
use super::upstream::Upstream;
use crate::Failure;
use crate::cli::MirrorStatusArgs;
use crate::directories::Directories;
use crate::output::{print, print_json, table};

/// What the gate leaves after each push.
const PUSH_MARKER: &str = "terok-push-marker";

/// A difference with its extent.
#[derive(Debug, Serialize)]
struct Counted {
    #[serde(flatten)]
    difference: Difference,
    /// Commits the mirror has and upstream has not.
    ahead: Option<u64>,
    behind: Option<u64>,
}

pub(super) fn run(directories: &Directories, args: &MirrorStatusArgs) -> Result<(), Failure> {
    let mirror = Mirror::open(directories, &args.mirror)?;
    let upstream = Upstream::of(&mirror)?;
    let differences = sync::differences(&mirror)?;
    let in_sync = differences.iter().filter(|one| one.kind == Kind::Same).count();
    let counted: Vec<Counted> = differences
        .into_iter()
        .filter(|one| one.kind != Kind::Same)
        .map(|one| counted(&mirror, one))
        .collect::<Result<_, _>>()?;
    let facts = Facts {
        head: mirror.ask(&["symbolic-ref", "--short", "HEAD"])?.trim().to_owned(),
        kib: size(&mirror)?,
        backups: mirror.refs(BACKUP)?.len(),
        synced: first_line(&mirror, MARKER),
        pushed: first_line(&mirror, PUSH_MARKER),
        policy: mirror.path.with_extension("policy.json").is_file(),
    };
    let url = upstream.map(|upstream| upstream.url.as_str().to_owned());
    if args.json {
        print_json(&json!({
            "project": mirror.project.as_str(),
            "path": mirror.path,
            "upstream": url,
            "head": facts.head,
            "size_kib": facts.kib,
            "last_sync": facts.synced,
            "last_push": facts.pushed,
            "backups": facts.backups,
            "policy_file": facts.policy,
            "same": in_sync,
            "differences": counted,
        }))?;
        return Ok(());
    }
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    print(&format!(
        "mirror     {} ({} KiB, HEAD is {})\nupstream   {}\nlast sync  {}\nlast push  {}\n\
         backups    {}\npolicy     {}\n",
        mirror.path.display(),
        facts.kib,
        facts.head,
        or_none(url),
        or_none(facts.synced),
        or_none(facts.pushed),
        facts.backups,
        if facts.policy { "a file beside the mirror" } else { "no file" },
    ))?;
    if !counted.is_empty() {
        print(&rows(&counted))?;
    }
    print(&format!("{in_sync} the same"))?;
    Ok(())
}

struct Facts {
    head: String,
    kib: u64,
    backups: usize,
    synced: Option<String>,
    pushed: Option<String>,
    policy: bool,
}

fn counted(mirror: &Mirror, difference: Difference) -> Result<Counted, MirrorError> {
    let both = difference.mirror.as_ref().zip(difference.upstream.as_ref());
    let counts = match both.filter(|_| difference.kind != Kind::Moved) {
        None => None,
        Some((ours, theirs)) => {
            let range = format!("{ours}...{theirs}");
            let said = mirror.ask(&["rev-list", "--left-right", "--count", &range])?;
            let mut numbers = said.split_whitespace().map(str::parse);
            numbers.next().and_then(Result::ok).zip(numbers.next().and_then(Result::ok))
        }
    };
    let (ahead, behind) = counts.unzip();
    Ok(Counted { difference, ahead, behind })
}

fn rows(counted: &[Counted]) -> String {
    let number = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let rows: Vec<Vec<String>> = counted
        .iter()
        .map(|one| {
            let pending = if one.difference.kind.is_pending() { "pending" } else { "" };
            vec![
                one.difference.short().to_owned(),
                one.difference.kind.words().to_owned(),
                number(one.ahead),
                number(one.behind),
                pending.to_owned(),
            ]
        })
        .collect();
    table(&["REF", "STATE", "AHEAD", "BEHIND", ""], &rows)
}

/// Loose and packed objects.
fn size(mirror: &Mirror) -> Result<u64, MirrorError> {
    let said = mirror.ask(&["count-objects", "-v"])?;
    let of = |wanted: &str| {
        said.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            (key == wanted).then(|| value.parse::<u64>().ok())?
        })
    };
    Ok(of("size").unwrap_or_default() + of("size-pack").unwrap_or_default())
}

fn first_line(mirror: &Mirror, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(mirror.path.join(name)).ok()?;
    text.lines().next().map(str::to_owned)
}

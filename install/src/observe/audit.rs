//! `terokctl audit`: who used which credential, how often, and what was refused; read from the
//! audit file beside the database, which every service appends to.
//!
//! A table of counts, refusals first; with `--json` the lines themselves, with `--follow` each line
//! as it is written.

mod entry;
mod summary;
mod tail;

use std::io::BufRead;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use terok_shared::layout;

use self::entry::Entry;
use self::summary::Summary;
use self::tail::Tail;
use crate::Failure;
use crate::cli::observe::AuditArgs;
use crate::directories::Directories;
use crate::output::{print, remark};

/// Between two looks for new lines.
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) fn run(directories: &Directories, args: &AuditArgs) -> Result<(), Failure> {
    let path = layout::audit_beside(&directories.database());
    let unread = |why| format!("read audit {}: {why}", path.display());
    let tail = Tail::at_the_end_of(path.clone()).map_err(unread)?;
    let wanted = Wanted::of(args);
    if tail.is_empty() {
        remark("no audit yet");
    } else {
        tell_past(&tail, &wanted, args)?;
    }
    if args.follow { follow(tail, &wanted, args) } else { Ok(()) }
}

/// Until somebody interrupts.
fn follow(mut tail: Tail, wanted: &Wanted, args: &AuditArgs) -> Result<(), Failure> {
    loop {
        for line in tail.lines()? {
            if let Some(entry) = wanted.entry(&line) {
                print(&if args.json { line } else { entry.to_string() })?;
            }
        }
        std::thread::sleep(PAUSE);
    }
}

fn tell_past(tail: &Tail, wanted: &Wanted, args: &AuditArgs) -> Result<(), Failure> {
    let mut summary = Summary::default();
    let mut bytes = Vec::new();
    for file in tail.past() {
        let mut file = file?;
        while file.read_until(b'\n', &mut bytes)? > 0 {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            bytes.clear();
            match wanted.entry(&line) {
                Some(_) if args.json => print(&line)?,
                Some(entry) => summary.add(entry),
                None => {}
            }
        }
    }
    if !args.json {
        if summary.is_empty() {
            remark("nothing in the audit that fits");
        } else {
            print(&summary.to_string())?;
        }
    }
    Ok(())
}

/// Which lines are asked for.
struct Wanted {
    /// Time stamps are compared as text: every writer uses the same form.
    since: Option<String>,
    container: Option<String>,
}

impl Wanted {
    fn of(args: &AuditArgs) -> Self {
        let since = args.since.map(|since| since.strftime("%Y-%m-%dT%H:%M:%S").to_string());
        Self { since, container: args.container.clone() }
    }

    /// What a line says, if it is a line and wanted.
    fn entry(&self, line: &str) -> Option<Entry> {
        let entry = Entry::parse(line)?;
        let late_enough = self.since.as_ref().is_none_or(|since| entry.ts >= *since);
        let container = self.container.as_ref().is_none_or(|name| entry.subject == *name);
        (late_enough && container).then_some(entry)
    }
}

/// `90s`, `15m`, `2h`, `7d` ago, or a point in time.
pub(crate) fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let ago = || {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let number: i64 = number.parse().ok().filter(|n| *n >= 0)?;
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86400,
            _ => return None,
        };
        Timestamp::now().checked_sub(SignedDuration::from_secs(number.checked_mul(seconds)?)).ok()
    };
    ago().ok_or_else(|| "expected 90s, 15m, 2h, 7d or a time like 2026-01-02T03:04:05Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"ts":"2026-01-02T03:04:05+00:00","subject":"web","outcome":"ok"}"#;

    #[test]
    fn lines_are_chosen_by_time_and_container() {
        let wanted = |since: Option<&str>, container: Option<&str>| Wanted {
            since: since.map(Into::into),
            container: container.map(Into::into),
        };
        assert!(wanted(None, None).entry(LINE).is_some());
        assert!(wanted(Some("2026-01-02T03:04:05"), Some("web")).entry(LINE).is_some());
        assert!(wanted(Some("2026-01-02T03:04:06"), None).entry(LINE).is_none());
        assert!(wanted(None, Some("we")).entry(LINE).is_none());
        assert!(wanted(None, None).entry("torn li").is_none());
    }

    #[test]
    fn since_is_an_age_or_a_time() {
        let ago = Timestamp::now().duration_since(since("2h").unwrap());
        assert!((7199..=7201).contains(&ago.as_secs()), "{ago}");
        assert!(since("2026-01-02T03:04:05Z").is_ok());
        for wrong in ["", "h", "2", "2y", "-2h", "yesterday", "é"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}

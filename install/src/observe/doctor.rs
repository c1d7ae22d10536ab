//! `terokctl doctor`: looks for everything that keeps containers from being served, or that served
//! ones left behind, and says for each what to do; `--fix` does what is safe.
//!
//! A file per place it looks at; each gives findings and changes nothing. `mend` changes.

mod finding;

mod hooks;
mod launches;
mod leftovers;
mod logs;
mod machine;
mod vault;

mod mend;

use serde::Serialize;
use terok_shared::container::ContainerName;

use self::finding::{Finding, Grade};
use super::fold;
use super::paint::{Colour, Paint};
use crate::Failure;
use crate::cli::observe::DoctorArgs;
use crate::directories::Directories;
use crate::output::{Verbosity, count, print, print_json, printable};
use crate::setup::Places;

/// Columns before what is found.
const INDENT: usize = 19;

/// Something is broken; the report has said what.
#[derive(Debug)]
pub(crate) struct Broken;

#[derive(Debug, Serialize)]
struct Report {
    broken: usize,
    warnings: usize,
    findings: Vec<Finding>,
}

pub(crate) fn run(
    directories: &Directories,
    places: &Places,
    args: &DoctorArgs,
    verbosity: Verbosity,
) -> Result<(), Failure> {
    let mut findings = examine(directories, places);
    if args.fix {
        let mended = mend::all(directories, &mut findings);
        if mended > 0 {
            // What was mended is told with what it has led to.
            let done: Vec<Finding> =
                findings.into_iter().filter(|finding| finding.mended.is_some()).collect();
            findings = examine(directories, places);
            findings.splice(0..0, done);
        }
    }
    let report = Report::of(findings);
    if args.json {
        print_json(&report)?;
    } else {
        let text = report.text(verbosity, args.fix, Paint::of_stdout());
        print(&fold::for_stdout(text, INDENT))?;
    }
    if report.broken > 0 { Err(Box::new(Broken)) } else { Ok(()) }
}

/// In the order of a start: the machine, the hooks, the vault, and then the containers.
fn examine(directories: &Directories, places: &Places) -> Vec<Finding> {
    let mut findings = machine::examine(directories);
    findings.extend(hooks::examine(places));
    findings.extend(vault::examine(directories));
    findings.extend(launches::examine(directories));
    findings.extend(leftovers::examine(directories));
    findings.extend(logs::examine(directories));
    findings
}

impl Report {
    fn of(findings: Vec<Finding>) -> Self {
        let open = |grade| {
            let open = |finding: &&Finding| finding.grade == grade && !finding.is_mended();
            findings.iter().filter(open).count()
        };
        Self { broken: open(Grade::Broken), warnings: open(Grade::Warning), findings }
    }

    fn text(&self, verbosity: Verbosity, fix: bool, paint: Paint) -> String {
        let shown = |finding: &&Finding| match finding.grade {
            Grade::Good | Grade::Note => verbosity != Verbosity::Quiet,
            Grade::Warning | Grade::Broken => true,
        };
        let mut text: String =
            self.findings.iter().filter(shown).map(|finding| lines(finding, paint)).collect();
        let mendable = self.findings.iter().any(|f| f.mend.is_some() && f.mended.is_none());
        text += &match (self.broken, self.warnings) {
            (0, 0) => "nothing is wrong\n".to_owned(),
            (0, n) => format!("nothing is broken; {}\n", count(n, "warning")),
            (n, m) => format!("{n} broken, {}\n", count(m, "warning")),
        };
        if mendable && !fix {
            text += "`terokctl doctor --fix` does what is marked with *\n";
        }
        text
    }
}

fn lines(finding: &Finding, paint: Paint) -> String {
    let (word, colour) = match finding.grade {
        _ if finding.is_mended() => ("fixed", Colour::Good),
        Grade::Good => ("ok", Colour::Good),
        Grade::Note => ("note", Colour::Faint),
        Grade::Warning => ("warn", Colour::Doubtful),
        Grade::Broken => ("BROKEN", Colour::Bad),
    };
    let star = if finding.mend.is_some() && finding.mended.is_none() { "*" } else { " " };
    let word = paint.with(colour, &format!("{word:<6}"));
    let what = printable(&finding.what);
    let mut text = format!("{word}{star} {:<10} {what}\n", finding.place);
    match (&finding.mended, &finding.hint) {
        (Some(Ok(done)), _) => text += &format!("{:20}{}\n", "", printable(done)),
        (Some(Err(why)), _) => {
            text += &format!("{:20}could not be fixed: {}\n", "", printable(why));
        }
        (None, Some(hint)) => text += &format!("{:20}hint: {}\n", "", printable(hint)),
        (None, None) => {}
    }
    text
}

/// A file name that is a container's, or nothing to us.
fn container_name(text: &str) -> Option<ContainerName> {
    ContainerName::parse(text).ok()
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("something is broken")
    }
}

impl std::error::Error for Broken {}

#[cfg(test)]
mod tests {
    use super::finding::Mend;
    use super::*;

    #[test]
    fn every_finding_says_what_to_do_and_the_end_counts() {
        let findings = vec![
            Finding::good("podman", "4.3.1"),
            Finding::warning("linger", "off", "run loginctl enable-linger"),
            Finding::broken("hooks", "not read", "run terokctl setup"),
            Finding::warning("leftover", "a file", "remove it")
                .with(Mend::Remove { files: vec![], directory: None }),
        ];
        let report = Report::of(findings);
        let text = report.text(Verbosity::Normal, false, Paint::none());
        assert_eq!((report.broken, report.warnings), (1, 2));
        assert_eq!(
            text,
            "ok      podman     4.3.1\n\
             warn    linger     off\n\
             \u{20}                   hint: run loginctl enable-linger\n\
             BROKEN  hooks      not read\n\
             \u{20}                   hint: run terokctl setup\n\
             warn  * leftover   a file\n\
             \u{20}                   hint: remove it\n\
             1 broken, 2 warnings\n\
             `terokctl doctor --fix` does what is marked with *\n"
        );
        assert!(!report.text(Verbosity::Quiet, false, Paint::none()).contains("4.3.1"));
    }

    #[test]
    fn what_was_mended_counts_no_more() {
        let mut finding = Finding::broken("leftover", "a tree", "");
        finding.mended = Some(Ok("ended".to_owned()));
        let report = Report::of(vec![finding]);
        assert_eq!(report.broken, 0);
        assert!(report.text(Verbosity::Normal, true, Paint::none()).starts_with("fixed"));
    }
}

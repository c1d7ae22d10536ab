//! `gate log`: what containers pushed and what they were refused, out of the audit.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

use serde::{Deserialize, Serialize};
use terok_shared::layout;

use super::mirror::Mirror;
use crate::Failure;
use crate::cli::PushLogArgs;
use crate::directories::Directories;
use crate::output::{print, print_json, remark, table};

/// The members of an audit line that the gate writes.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Push {
    ts: String,
    #[serde(rename(serialize = "project"))]
    scope: String,
    #[serde(rename(serialize = "container"))]
    subject: String,
    #[serde(skip_serializing)]
    kind: String,
    #[serde(rename = "ref")]
    name: String,
    old: String,
    new: String,
    outcome: String,
    reason: Option<String>,
    backup: Option<String>,
}

pub(super) fn run(directories: &Directories, args: &PushLogArgs) -> Result<(), Failure> {
    let mirror = Mirror::locate(directories, &args.mirror);
    let path = layout::audit_beside(&directories.database());
    let pushes = match File::open(&path) {
        Ok(file) => last(BufReader::new(file), mirror.project.as_str(), args.lines)?,
        Err(why) if why.kind() == io::ErrorKind::NotFound => VecDeque::new(),
        Err(why) => return Err(format!("open audit file {}: {why}", path.display()).into()),
    };
    if args.json {
        print_json(&pushes)?;
    } else if pushes.is_empty() {
        remark(&format!("no pushes to {} yet", mirror.project));
    } else {
        let rows: Vec<Vec<String>> = pushes.iter().map(row).collect();
        print(&table(&["TIME", "CONTAINER", "REF", "OLD", "NEW", "OUTCOME"], &rows))?;
    }
    Ok(())
}

/// The last pushed refs of a project, the oldest first.
fn last(audit: impl BufRead, project: &str, lines: usize) -> io::Result<VecDeque<Push>> {
    let mut pushes = VecDeque::new();
    for line in audit.split(b'\n') {
        // A line that was cut short is nobody's.
        let Ok(push) = serde_json::from_slice::<Push>(&line?) else { continue };
        if push.kind == "push" && push.scope == project {
            pushes.push_back(push);
            if pushes.len() > lines {
                pushes.pop_front();
            }
        }
    }
    Ok(pushes)
}

fn row(push: &Push) -> Vec<String> {
    let short = |object: &str| match object.trim_start_matches('0') {
        "" => "-".to_owned(),
        _ => object.chars().take(12).collect(),
    };
    let outcome = match (&push.reason, &push.backup) {
        (Some(reason), _) => format!("{}: {reason}", push.outcome),
        (None, Some(_)) => format!("{}, old tip saved", push.outcome),
        (None, None) => push.outcome.clone(),
    };
    let name = push.name.strip_prefix("refs/heads/").unwrap_or(&push.name).to_owned();
    vec![push.ts.clone(), push.subject.clone(), name, short(&push.old), short(&push.new), outcome]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_lines_and_other_projects_are_left_out() {
        let line = |scope: &str, kind: &str, name: &str| {
            format!(
                r#"{{"ts":"t","scope":"{scope}","kind":"{kind}","ref":"refs/heads/{name}","outcome":"ok"}}"#
            )
        };
        let audit = [
            line("web", "push", "a"),
            line("other", "push", "b"),
            line("web", "sign", "c"),
            r#"{"ts":"t","scope":"web","status":200}"#.to_owned(),
            r#"{"ts":"t","sco"#.to_owned(),
            line("web", "push", "d"),
            line("web", "push", "e"),
        ]
        .join("\n");
        let names = |lines| {
            let pushes = last(audit.as_bytes(), "web", lines).unwrap();
            pushes.iter().map(|push| row(push)[2].clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(20), ["a", "d", "e"]);
        assert_eq!(names(2), ["d", "e"]);
    }
}

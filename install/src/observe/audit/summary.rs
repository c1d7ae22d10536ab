//! How often each container had each outcome with each credential, refusals first.

use std::collections::HashMap;
use std::fmt;

use super::entry::Entry;
use crate::output::table;

#[derive(Default)]
pub(super) struct Summary(HashMap<Kind, Tally>);

/// Lines that are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Kind {
    container: String,
    provider: String,
    credential_set: String,
    outcome: String,
}

struct Tally {
    times: u64,
    last: String,
    refusal: bool,
}

impl Summary {
    pub(super) fn add(&mut self, entry: Entry) {
        let refusal = entry.is_refusal();
        let kind = Kind {
            container: entry.subject,
            provider: entry.provider,
            credential_set: entry.credential_set,
            outcome: entry.outcome,
        };
        let tally = self.0.entry(kind).or_insert(Tally { times: 0, last: String::new(), refusal });
        tally.times += 1;
        tally.last = tally.last.as_str().max(&entry.ts).to_owned();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: Vec<(&Kind, &Tally)> = self.0.iter().collect();
        kinds.sort_by_key(|(kind, tally)| (!tally.refusal, std::cmp::Reverse(tally.times), *kind));
        let or_dash = |text: &String| if text.is_empty() { "-".to_owned() } else { text.clone() };
        let rows: Vec<Vec<String>> = kinds
            .into_iter()
            .map(|(kind, tally)| {
                vec![
                    or_dash(&kind.container),
                    or_dash(&kind.provider),
                    or_dash(&kind.credential_set),
                    or_dash(&kind.outcome),
                    tally.times.to_string(),
                    tally.last.clone(),
                ]
            })
            .collect();
        let headings = ["CONTAINER", "PROVIDER", "SET", "OUTCOME", "TIMES", "LAST"];
        f.write_str(&table(&headings, &rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_come_first_then_what_was_done_most() {
        let mut summary = Summary::default();
        for (subject, provider, outcome) in [
            ("web", "github", "ok"),
            ("db", "github", "ok"),
            ("web", "github", "ok"),
            ("web", "", "invalid_token"),
        ] {
            summary.add(Entry {
                ts: "2026".into(),
                subject: subject.into(),
                provider: provider.into(),
                outcome: outcome.into(),
                ..Entry::default()
            });
        }
        let told = summary.to_string();
        let lines: Vec<Vec<&str>> =
            told.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["web", "-", "-", "invalid_token", "1", "2026"]);
        assert_eq!(lines[2], ["web", "github", "-", "ok", "2", "2026"]);
        assert_eq!(lines[3][0], "db");
    }
}

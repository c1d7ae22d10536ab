//! What a starting supervisor tells the hook through the readiness pipe: a line per problem, then
//! one line that names what it listens on. Nothing after that line is waited for.

use std::fmt::Display;

const PROBLEM: &str = "problem ";
const BOUND: &str = "bound ";
const SEPARATOR: &str = ", ";

/// A problem's line; its own line breaks are folded.
pub fn problem(why: &impl Display) -> String {
    format!("{PROBLEM}{}\n", why.to_string().replace('\n', "; "))
}

/// The last line: every endpoint that accepts connections from now on.
pub fn bound(endpoints: &[String]) -> String {
    format!("{BOUND}{}\n", endpoints.join(SEPARATOR))
}

/// The problems heard so far, and the endpoints once the last line is complete.
pub fn parse(text: &str) -> (Vec<String>, Option<Vec<String>>) {
    let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let (mut problems, mut endpoints) = (vec![], None);
    for line in whole {
        if let Some(why) = line.strip_prefix(PROBLEM) {
            problems.push(why.to_owned());
        } else if let Some(list) = line.strip_prefix(BOUND) {
            endpoints = Some(list.split(SEPARATOR).map(str::to_owned).collect());
        }
    }
    (problems, endpoints)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_understood() {
        let text = problem(&"gate: port taken\nhint: x") + &bound(&["a".into(), "b".into()]);
        let (problems, endpoints) = parse(&text);
        assert_eq!(problems, ["gate: port taken; hint: x"]);
        assert_eq!(endpoints, Some(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn half_a_line_is_not_yet_said() {
        assert_eq!(parse("bound a"), (vec![], None));
        assert_eq!(parse(""), (vec![], None));
    }
}

//! A progress bar out of what git says on standard error (git-fetch(1), `--progress`).

use std::io::{self, IsTerminal, Read, Write};

/// How much of git's complaints is kept for a message.
const MAX_COMPLAINT: usize = 8 * 1024;
const WIDTH: usize = 30;

/// `Receiving objects:  45% (900/2000), 90.12 MiB | 8.00 MiB/s`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step<'a> {
    what: &'a str,
    percent: usize,
    rest: &'a str,
}

/// Reads git's standard error to its end; draws a bar when somebody watches. What is no progress
/// is the answer.
pub(super) fn watch(stderr: &mut impl Read) -> String {
    let mut screen = io::stderr();
    let watched = screen.is_terminal();
    let mut complaint = String::new();
    let mut line = Vec::new();
    let mut drawn = false;
    for byte in io::BufReader::new(stderr).bytes().map_while(Result::ok) {
        if byte != b'\r' && byte != b'\n' {
            if line.len() < MAX_COMPLAINT {
                line.push(byte);
            }
            continue;
        }
        let text = String::from_utf8_lossy(&line).into_owned();
        line.clear();
        match parse(&text) {
            Some(step) if watched => {
                drawn = true;
                let _ = write!(screen, "\r\x1b[K{}", draw(&step));
            }
            Some(_) => {}
            // Progress of phases without an end, as `remote: Enumerating objects: 5, done.`
            None if text.ends_with("done.") => {}
            None if complaint.len() + text.len() < MAX_COMPLAINT => {
                complaint.push_str(&text);
                complaint.push('\n');
            }
            None => {}
        }
    }
    if drawn {
        let _ = write!(screen, "\r\x1b[K");
    }
    complaint.push_str(&String::from_utf8_lossy(&line));
    crate::output::printable(complaint.trim()).replace("\\n", "\n")
}

fn parse(line: &str) -> Option<Step<'_>> {
    let line = line.strip_prefix("remote: ").unwrap_or(line).trim();
    let (what, rest) = line.split_once(':')?;
    let (percent, rest) = rest.trim_start().split_once('%')?;
    let percent = percent.parse().ok().filter(|percent| *percent <= 100)?;
    let rest = rest.split_once("), ").map_or("", |(_, rest)| rest);
    Some(Step { what, percent, rest: rest.trim_end_matches(", done.") })
}

fn draw(step: &Step<'_>) -> String {
    let full = WIDTH * step.percent / 100;
    let bar = format!("{}{}", "#".repeat(full), "-".repeat(WIDTH - full));
    let words = crate::output::printable(&format!("{:>3}% {}", step.percent, step.rest));
    format!("{:<20} [{bar}] {words}", crate::output::printable(step.what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gits_progress_becomes_a_bar() {
        let step = parse("Receiving objects:  50% (1000/2000), 90.12 MiB | 8.00 MiB/s").unwrap();
        assert_eq!(
            draw(&step),
            "Receiving objects    [###############---------------]  50% 90.12 MiB | 8.00 MiB/s"
        );
        assert!(draw(&step).len() <= 90);
        assert_eq!(
            parse("remote: Counting objects: 100% (3/3), done.").unwrap().what,
            "Counting objects"
        );
    }

    #[test]
    fn other_words_are_no_progress() {
        for line in ["", "fatal: no", "a: b%", "a: 101% (1/1)", "From https://h/p"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn complaints_are_kept_and_progress_is_not() {
        let said = "remote: Counting objects:  50% (1/2)\rremote: Counting objects: 100% (2/2), done.\n\
                    fatal: it \x1b[31mbroke";
        assert_eq!(watch(&mut said.as_bytes()), "fatal: it \\u{1b}[31mbroke");
    }
}

//! Screens that people look at, on a terminal of 80 columns: no line is wider, and each says what
//! the snapshot of it in `tests/snapshots` says.
//!
//! Numbers, ids, times and paths are not compared, nor how many spaces a column needed for them.
//! A snapshot that is no longer right is replaced by hand with what a failing test prints.

use crate::operator::Operator;

const COLUMNS: usize = 80;
/// Hexadecimal words of at least this length are ids.
const ID: usize = 8;

/// `snapshot` is the file's text, for the message its name too.
#[track_caller]
pub(crate) fn expect(operator: &Operator, name: &str, snapshot: &str, screen: &str) {
    for line in screen.lines() {
        let one_word = line.split_whitespace().count() == 1;
        let fits = line.chars().count() <= COLUMNS || one_word;
        assert!(fits, "{name}: wider than {COLUMNS} columns: {line}\n{screen}");
    }
    let (expected, found) = (words(snapshot), words(&named(operator, screen)));
    assert_eq!(found, expected, "tests/snapshots/{name}.txt says something else:\n{screen}");
}

/// With the person's own words for what differs from run to run.
fn named(operator: &Operator, screen: &str) -> String {
    screen.replace(&operator.runtime(), "RUNTIME")
}

/// Everything but spaces, with numbers, ids and paths blotted out. Notes are about this machine.
fn words(screen: &str) -> Vec<String> {
    let lines = screen.lines().filter(|line| !line.starts_with("note "));
    lines.flat_map(str::split_whitespace).map(blotted).collect()
}

fn blotted(word: &str) -> String {
    let bare = word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '/');
    if bare.starts_with('/') && bare.len() > 1 {
        return word.replace(bare, "/PATH");
    }
    let hexadecimal = |part: &str| part.len() >= ID && part.bytes().all(|b| b.is_ascii_hexdigit());
    let parts = word.split_inclusive(['/', '-', ':', ',', ';', '(', ')']).map(|part| {
        let plain = part.trim_end_matches(['/', '-', ':', ',', ';', '(', ')']);
        if hexadecimal(plain) { part.replace(plain, "ID") } else { numberless(part) }
    });
    let text: String = parts.collect();
    match text.split_once("SHA0:") {
        Some((before, _)) => format!("{before}SHA0:KEY"),
        None => text,
    }
}

/// Every run of digits as one zero.
fn numberless(text: &str) -> String {
    let mut result = String::new();
    for character in text.chars() {
        match character.is_ascii_digit() {
            true if result.ends_with('0') => {}
            true => result.push('0'),
            false => result.push(character),
        }
    }
    result
}

//! What terokctl prints: results on standard output, remarks on standard error.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde_json::Value;

/// Prints a result. A reader that has gone away (`| head`) is an error of its own kind, not a
/// panic.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}

/// Prints a result for programs.
pub(crate) fn print_json(value: &impl Serialize) -> io::Result<()> {
    print(&serde_json::to_string_pretty(value).expect("results have text keys"))
}

/// Prints what was done: a sentence for people, the facts for programs.
pub(crate) fn tell(json: bool, sentence: &str, facts: &Value) -> io::Result<()> {
    if json { print_json(facts) } else { print(sentence) }
}

/// How much is said beside results and errors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Verbosity {
    /// Nothing.
    Quiet,
    #[default]
    Normal,
    Verbose,
}

static QUIET: AtomicBool = AtomicBool::new(false);

/// From now on no remarks are made; errors still are.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Says something that is not the result, and so is not in the way of a pipe.
pub(crate) fn remark(text: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        complain(text);
    }
}

/// Says what went wrong.
pub(crate) fn complain(text: &str) {
    // Nobody listening is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}

/// `1 token`, `2 tokens`.
pub(crate) fn count(n: usize, thing: &str) -> String {
    if n == 1 { format!("1 {thing}") } else { format!("{n} {thing}s") }
}

/// Columns as wide as their widest cell, under their headings.
pub(crate) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        std::iter::once(headings.iter().map(|h| (*h).to_owned()).collect())
            .chain(rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()))
            .collect();
    let widths: Vec<usize> = (0..headings.len())
        .map(|column| rows.iter().map(|row| width(row, column)).max().unwrap_or_default())
        .collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn width(row: &[String], column: usize) -> usize {
    row.get(column).map_or(0, |cell| cell.chars().count())
}

/// Names in the vault may come from other programs: an escape character among them must not
/// reach the terminal.
pub(crate) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["a".into(), "long one".into()], vec!["bbbbbb".into(), "x".into()]];
        assert_eq!(table(&["NAME", "WHAT"], &rows), "NAME    WHAT\na       long one\nbbbbbb  x\n");
    }

    #[test]
    fn control_characters_are_shown_not_sent() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }
}

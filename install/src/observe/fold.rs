//! Long lines on a terminal: folded between words at 80 columns, and continued under the text they
//! belong to. Pipes and files get them whole.

use std::io::{IsTerminal, stdout};

const COLUMNS: usize = 80;
/// Begins a colour, which takes no room on screen; it ends with an `m`.
const ESCAPE: char = '\u{1b}';

/// The text as standard output wants it; what is folded goes on behind `indent` columns.
pub(super) fn for_stdout(text: String, indent: usize) -> String {
    if stdout().is_terminal() { folded(&text, indent) } else { text }
}

/// A word that has no room in any line, such as a long path, stays whole for whoever copies it.
fn folded(text: &str, indent: usize) -> String {
    let mut folded = String::new();
    for line in text.lines() {
        let mut column = 0;
        for word in line.split_inclusive(' ') {
            let width = width(word.trim_end_matches(' '));
            if column > indent && column + width > COLUMNS {
                folded.truncate(folded.trim_end_matches(' ').len());
                folded.push('\n');
                folded.push_str(&" ".repeat(indent));
                column = indent;
            }
            folded.push_str(word);
            column += width + (word.len() - word.trim_end_matches(' ').len());
        }
        folded.push('\n');
    }
    folded
}

fn width(word: &str) -> usize {
    let mut in_colour = false;
    word.chars()
        .filter(|&character| {
            let hidden = in_colour || character == ESCAPE;
            in_colour = hidden && character != 'm';
            !hidden
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_goes_on_under_its_text() {
        let line = format!("ok   place  {} {}\n", "a".repeat(40), "b".repeat(40));
        let expected = format!("ok   place  {}\n{:12}{}\n", "a".repeat(40), "", "b".repeat(40));
        assert_eq!(folded(&line, 12), expected);
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let text = format!("{}\n  two   spaces\n", "a ".repeat(40).trim_end());
        assert_eq!(folded(&text, 4), text);
    }

    #[test]
    fn colours_take_no_room_and_long_words_stay_whole() {
        let line = format!("\u{1b}[32m{}\u{1b}[0m {}\n", "a".repeat(38), "b".repeat(40));
        assert_eq!(folded(&line, 4), line);
        let path = format!("at {}\n", "x".repeat(100));
        assert_eq!(folded(&path, 4), path);
    }
}

//! Commands and options of terokctl that a document names exist, wherever it names them.

use std::collections::HashMap;
use std::process::Command;

use terok_tests::document::Document;
use terok_tests::programs::Programs;
use terok_tests::terokctl::TEROKCTL;

use crate::documents;

#[test]
fn every_command_and_option_that_is_named_exists() {
    let mut help = Help::default();
    let mut named = 0;
    for document in documents() {
        for (line, command) in commands(&document) {
            named += 1;
            if let Err(why) = help.check(&command) {
                panic!("{}:{line}: {command}: {why}", document.name());
            }
        }
    }
    assert!(named > 50, "only {named} were found");
}

#[test]
fn a_command_or_an_option_that_does_not_exist_is_found() {
    let mut help = Help::default();
    assert_eq!(help.check("terokctl vault add github --type oauth"), Ok(()));
    assert_eq!(help.check("terokctl run web --ssh -- --made-up image"), Ok(()));
    for wrong in ["terokctl valut add", "terokctl vault steal", "terokctl setup --made-up"] {
        assert!(help.check(wrong).is_err(), "{wrong}");
    }
}

/// Code spans and lines of blocks that call terokctl, up to where the shell's own words begin.
fn commands(document: &Document) -> Vec<(usize, String)> {
    let mut found = vec![];
    for (number, line) in document.prose() {
        let spans = line.split('`').skip(1).step_by(2);
        found.extend(spans.map(|span| (number, span.to_owned())));
    }
    for block in document.blocks() {
        let text = block.text.replace("\\\n", " ");
        found.extend(text.lines().map(|line| (block.line, line.to_owned())));
    }
    let called = |(line, text): (usize, String)| {
        let (_, call) = text.split_once("terokctl ")?;
        let ended = call.split(['|', '#', '>', ';', ')', '\'', '…']).next().unwrap_or_default();
        Some((line, format!("terokctl {}", ended.trim())))
    };
    found.into_iter().filter_map(called).collect()
}

/// What `--help` says, by the words before it.
#[derive(Default)]
struct Help(HashMap<String, String>);

impl Help {
    fn check(&mut self, command: &str) -> Result<(), String> {
        let mut words =
            command.split_whitespace().skip(1).take_while(|word| *word != "--").peekable();
        let mut path = vec![];
        while let Some(word) = words.next_if(|word| self.names(&path, word)) {
            path.push(word);
        }
        let text = self.of(&path);
        let word = words.peek().copied().unwrap_or("-");
        // What is no option is an argument, and only commands without commands have any.
        if text.contains("\nCommands:\n") && word.starts_with(|c: char| c.is_ascii_lowercase()) {
            return Err(format!("no command {word}"));
        }
        for option in words.filter(|word| word.starts_with("--")) {
            let name = option.split(['=', '`', ',', ']', '.']).next().unwrap_or_default();
            let listed = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '=' | '['));
            if name.len() > 2 && !listed.into_iter().any(|word| word == name) {
                return Err(format!("no option {name}"));
            }
        }
        Ok(())
    }

    /// Whether this is a command of the one that the path leads to.
    fn names(&mut self, path: &[&str], word: &str) -> bool {
        let text = self.of(path);
        let Some((_, listed)) = text.split_once("\nCommands:\n") else { return false };
        let listed = listed.split("\n\n").next().unwrap_or_default();
        listed
            .lines()
            .any(|line| line.starts_with("  ") && line.split_whitespace().next() == Some(word))
    }

    fn of(&mut self, path: &[&str]) -> String {
        let ask = || {
            let mut terokctl = Command::new(Programs::built().path(TEROKCTL));
            let output = terokctl.args(path).arg("--help").output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        self.0.entry(path.join(" ")).or_insert_with(ask).clone()
    }
}

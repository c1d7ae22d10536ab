//! The command line as a whole: what every command must have.

use std::fs;
use std::path::Path;

use clap::Command as Words;
use clap::error::ErrorKind;

use super::*;

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn podmans_words_are_passed_on_as_they_are() {
    let line = "terokctl run web --ssh -- --rm -it --ssh image sh -c exit";
    let Command::Run(run) = Cli::parse_from(line.split(' ')).command else { unreachable!() };
    assert_eq!(run.podman, ["--rm", "-it", "--ssh", "image", "sh", "-c", "exit"]);
    assert!(Cli::try_parse_from(["terokctl", "run", "web"]).is_err());
}

#[test]
fn names_that_podman_or_a_path_cannot_have_are_usage_errors() {
    for name in ["", "..", "a/b", "-x", "a b", "ä", "_a"] {
        assert!(Cli::try_parse_from(["terokctl", "prepare", "--", name]).is_err(), "{name}");
    }
    assert!(Cli::try_parse_from(["terokctl", "prepare", "w.e-b_1"]).is_ok());
    for scope in ["", "%host", "a/b"] {
        let words = ["terokctl", "prepare", "web", "--scope", scope];
        assert!(Cli::try_parse_from(words).is_err(), "{scope}");
    }
}

/// Their output is another program's, a story, or files for a shell: no facts for programs.
const WITHOUT_JSON: [&str; 5] = ["run", "demo", "completions", "man", "gate credential-helper"];

/// Every command that does something, with its words.
fn leaves(command: &Words, words: &str, found: &mut Vec<(String, Words)>) {
    for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
        let words = format!("{words} {}", below.get_name()).trim().to_owned();
        match below.has_subcommands() {
            true => leaves(below, &words, found),
            false => found.push((words, below.clone())),
        }
    }
}

fn all() -> Vec<(String, Words)> {
    let mut found = Vec::new();
    leaves(&command(), "", &mut found);
    assert!(found.len() > 40, "{}", found.len());
    found
}

#[test]
fn every_command_has_examples_its_exit_status_and_a_sentence_for_each_option() {
    for (words, mut command) in all().into_iter().filter(|(_, command)| !command.is_hide_set()) {
        let help = command.render_long_help().to_string();
        assert!(help.contains("Example") && help.contains("Exit status: "), "{words}: {help}");
        assert!(help.contains(&format!("terokctl {words}")), "{words} is in no example of its own");
        for option in command.get_opts().chain(command.get_positionals()) {
            assert!(option.get_help().is_some(), "{words}: {}", option.get_id());
        }
    }
}

#[test]
fn every_command_has_facts_for_programs_but_a_few() {
    for (words, command) in all() {
        let has_json = command.get_opts().any(|option| option.get_long() == Some("json"));
        assert_eq!(has_json, !WITHOUT_JSON.contains(&&*words), "{words}");
    }
}

#[test]
fn every_example_in_the_help_can_be_parsed() {
    for (words, command) in all() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in help.lines().filter(|line| line.starts_with("  ")) {
            let Some(at) = line.find("terokctl ") else { continue };
            // What follows three blanks is a remark.
            let typed = line[at..].split("   ").next().unwrap();
            let typed = match line[..at].ends_with("$(") {
                true => &typed[..typed.find(')').unwrap()],
                false => typed,
            };
            let typed = shlex::split(typed).unwrap_or_else(|| panic!("{words}: {typed}"));
            let of_shell = |word: &&String| !["|", "<", ">", "||"].contains(&word.as_str());
            let parsed = super::command().try_get_matches_from(typed.iter().take_while(of_shell));
            // The shell would have put a value there.
            if let Err(why) = parsed
                && !(why.kind() == ErrorKind::ValueValidation && line.contains("$("))
            {
                panic!("{words}: {line}: {why}");
            }
        }
    }
}

/// The words after each `terokctl` in a line that tells somebody to type it.
fn named(line: &str) -> Vec<Vec<&str>> {
    const NAME: &str = "terokctl ";
    let told = line.match_indices(NAME);
    let told = told.filter(|(at, _)| line[..*at].ends_with('`') || line[..*at].ends_with("run "));
    let told = told.map(|(at, _)| &line[at + NAME.len()..]);
    let ends = ['`', '"', ',', ';', ')', '\\', '|'];
    told.map(|rest| rest[..rest.find(ends).unwrap_or(rest.len())].split(' ').collect()).collect()
}

fn sources(directory: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with("tests.rs") {
            found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn no_hint_names_a_command_that_is_not_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut texts = Vec::new();
    for program in ["install/src", "shared/src", "hook/src", "supervisor"] {
        sources(&root.join(program), &mut texts);
    }
    let whole = command();
    let mut seen = 0;
    for (file, text) in &texts {
        let said = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in said.filter(|line| line.contains("hint") || line.contains("`terokctl ")) {
            for words in named(line) {
                let mut at = &whole;
                let mut rest = words.as_slice();
                while let [word, left @ ..] = rest
                    && let Some(below) = at.find_subcommand(word)
                {
                    (at, rest, seen) = (below, left, seen + 1);
                }
                let is_whole = !at.has_subcommands() || rest.is_empty();
                assert!(is_whole, "{file}: no such command: {line}");
            }
        }
    }
    assert!(seen > 40, "{seen}");
}

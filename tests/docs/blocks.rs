//! Every block says what it is, so that no command escapes the tests that run them.

use std::fs;
use std::process::Command;

use terok_tests::document::Block;

use crate::{documents, workspace};

/// Run by `tests/podman/docs.rs`, or where an attribute says who else runs it.
const COMMANDS: &str = "sh";
/// Made in a checkout: run by whoever builds, continuous integration first of all.
const CHECKOUT: &str = "checkout";
/// Needs an image with the agents: run by `tests/podman/recipes.rs`.
const AGENTS: &str = "agents";
/// Need an engine, kubectl, or root: run by `tests/runtimes/documented.rs`.
const ENGINES: [&str; 8] =
    ["bundle", "dockerd", "docker", "containerd", "wrapper", "node", "secret", "label"];
/// Needs github.com: run by `tests/podman/docs.rs`, where a host of the test's own plays it.
const GITHUB: &str = "github";
/// Shown, not typed.
const SHOWN: [&str; 6] = ["text", "json", "yaml", "toml", "ini", "rust"];
/// What begins a line that somebody would type, unless it is a synopsis with a choice in it.
const TYPED: [&str; 12] = [
    "$ ",
    "sudo ",
    "make ",
    "cargo ",
    "podman ",
    "curl ",
    "docker ",
    "dockerd ",
    "ctr ",
    "crun ",
    "kubectl ",
    "terokctl ",
];

#[test]
fn every_block_has_a_language_we_know() {
    for document in documents() {
        for Block { language, attributes, line, .. } in document.blocks() {
            let known = match language.as_str() {
                COMMANDS => {
                    let by_others = [CHECKOUT, AGENTS, GITHUB].iter().chain(&ENGINES);
                    attributes.is_empty() || by_others.into_iter().any(|who| *who == attributes)
                }
                shown => SHOWN.contains(&shown) && attributes.is_empty(),
            };
            assert!(known, "{}:{line}: {language} {attributes}", document.name());
        }
    }
}

#[test]
fn no_block_is_made_by_indenting() {
    for document in documents() {
        let mut before = "";
        for (number, line) in document.prose() {
            let block = line.starts_with("    ") && before.is_empty();
            assert!(!block, "{}:{number}: {line}", document.name());
            before = line;
        }
    }
}

#[test]
fn what_can_be_typed_is_among_the_commands() {
    for document in documents() {
        for block in document.blocks().iter().filter(|block| block.language == "text") {
            let typed = block.text.lines().find(|line| {
                !line.contains(['▸', '|']) && TYPED.iter().any(|w| line.starts_with(w))
            });
            assert_eq!(typed, None, "{}:{}", document.name(), block.line);
        }
    }
}

#[test]
fn the_checkouts_commands_exist() {
    for document in documents() {
        for block in document.blocks().iter().filter(|block| block.attributes == CHECKOUT) {
            for line in block.text.lines() {
                let typed = line.split('#').next().unwrap_or_default().trim();
                let words = typed.strip_prefix("make ");
                let words = words.unwrap_or_else(|| panic!("{}: {typed}", document.name()));
                let mut make = Command::new("make");
                make.arg("--dry-run").args(words.split_whitespace()).current_dir(workspace());
                let output = make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").output().unwrap();
                assert!(output.status.success(), "{typed}: {output:?}");
            }
        }
    }
}

/// A document with commands and no test that types them would be the one that is wrong.
#[test]
fn every_document_with_commands_is_typed_by_a_test() {
    let tests = fs::read_to_string(workspace().join("tests/podman/docs.rs")).unwrap();
    for document in documents() {
        let commands = |block: &Block| block.language == COMMANDS && block.attributes.is_empty();
        if document.blocks().iter().any(commands) {
            assert!(tests.contains(&format!(": \"{}\"", document.name())), "{}", document.name());
        }
    }
}

/// A block that names a test which does not take it would be typed by nobody.
#[test]
fn every_engines_commands_are_typed_by_a_test() {
    let tests = fs::read_to_string(workspace().join("tests/runtimes/documented.rs")).unwrap();
    for document in documents() {
        for block in document.blocks() {
            let who = block.attributes.as_str();
            if block.language == COMMANDS && ENGINES.contains(&who) {
                let taken = format!("block(\"{}\", \"sh\", \"{who}\")", document.name());
                assert!(tests.contains(&taken), "{}:{}", document.name(), block.line);
            }
        }
    }
}

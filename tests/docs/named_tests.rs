//! A test that a document names is there, and is a test.

use std::fs;

use crate::{documents, workspace};

#[test]
fn every_test_that_is_named_is_there() {
    let mut named = 0;
    for document in documents() {
        for (number, line) in document.prose() {
            for span in line.split('`').skip(1).step_by(2) {
                let Some((file, name)) = span.split_once(": ") else { continue };
                if !file.ends_with(".rs") {
                    continue;
                }
                named += 1;
                let text = fs::read_to_string(workspace().join(file));
                let text = text
                    .unwrap_or_else(|why| panic!("{}:{number}: {file}: {why}", document.name()));
                assert!(is_test(&text, name), "{}:{number}: {file} has no {name}", document.name());
            }
        }
    }
    assert!(named > 30, "only {named} were found");
}

/// Files and folders that are named without a test of theirs.
#[test]
fn every_file_of_the_checkout_that_is_named_is_there() {
    for document in documents() {
        for (number, line) in document.prose() {
            for span in line.split('`').skip(1).step_by(2) {
                let places =
                    ["tests/", "supervisor/", "shared/", "hook/", "install/", "packaging/"];
                let plain = !span.contains([' ', '*', '<', '{']);
                if plain && places.iter().any(|place| span.starts_with(place)) {
                    let there = workspace().join(span).exists();
                    assert!(there, "{}:{number}: {span}", document.name());
                }
            }
        }
    }
}

fn is_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let declared = lines.iter().position(|line| {
        line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ").is_some_and(|rest| {
            rest.strip_prefix(name).is_some_and(|rest| rest.starts_with(['(', '<']))
        })
    });
    // Attributes of its own may stand between.
    declared.is_some_and(|at| {
        lines[..at]
            .iter()
            .rev()
            .take_while(|line| line.starts_with("#["))
            .any(|line| line.contains("test"))
    })
}

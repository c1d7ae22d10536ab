//! `terokctl ssh assign`, `default`, `remove`, `export` and `rules`, judged by the real ssh-keygen.

use std::process::{Command, Output};

use serde_json::Value;

use crate::machine::Machine;

/// As `ssh-keyscan` prints it.
const GITHUB: &str = "github.com ssh-ed25519 \
    AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

fn comments(machine: &Machine, scope: &str) -> Vec<String> {
    let lines = machine.ok(&["ssh", "pub", "--scope", scope]);
    lines.lines().map(|line| line.split(' ').nth(2).unwrap().to_owned()).collect()
}

/// The fingerprint of a new key.
fn generate(machine: &Machine, scope: &str, comment: &str) -> String {
    let line = machine.ok(&["ssh", "generate", "--scope", scope, "--comment", comment]);
    machine.write("new.pub", &line);
    let facts = keygen(&["-l", "-f", &machine.text("new.pub")]);
    let facts = String::from_utf8(facts.stdout).unwrap();
    facts.split(' ').nth(1).unwrap().to_owned()
}

fn keygen(words: &[&str]) -> Output {
    Command::new("ssh-keygen").args(words).output().unwrap()
}

#[test]
fn keys_are_assigned_offered_first_and_taken_away() {
    let machine = Machine::new();
    let (one, two) = (generate(&machine, "app", "one"), generate(&machine, "web", "two"));
    machine.ok(&["ssh", "assign", &two, "--scope", "app"]);
    assert_eq!(comments(&machine, "app"), ["one", "two"]);
    assert!(machine.ok(&["ssh", "assign", &two, "--scope", "app"]).contains("already has"));
    machine.ok(&["ssh", "default", &two, "--scope", "app"]);
    assert_eq!(comments(&machine, "app"), ["two", "one"]);

    let left = machine.ok(&["ssh", "remove", &two, "--scope", "app"]);
    assert!(left.contains("other scopes"), "{left}");
    assert_eq!(comments(&machine, "app"), ["one"]);
    machine.fails(&["ssh", "remove", &two, "--scope", "app"], "does not have", "ssh list");
    let gone = machine.ok(&["ssh", "remove", &one, "--scope", "app"]);
    assert!(gone.contains("out of the vault"), "{gone}");
    machine.ok(&["ssh", "assign", &two, "--scope", "app", "--default"]);
    machine.ok(&["ssh", "remove", &two, "--everywhere"]);
    assert_eq!(machine.ok(&["ssh", "list", "--json"]).trim(), "[]");
}

#[test]
fn what_cannot_be_is_refused_with_a_way_out() {
    let machine = Machine::new();
    let key = generate(&machine, "app", "one");
    for words in [
        &["ssh", "assign", "SHA256:none", "--scope", "app"][..],
        &["ssh", "default", "SHA256:none", "--scope", "app"],
        &["ssh", "remove", "SHA256:none", "--everywhere"],
        &["ssh", "export", "SHA256:none", "file", "--key-passphrase-file", "passphrase"],
        &["ssh", "rules", "SHA256:none"],
    ] {
        machine.fails(words, "there is none", "ssh list");
    }
    machine.fails(&["ssh", "default", &key, "--scope", "web"], "does not have", "");
    for words in [
        &["ssh", "remove", &key][..],
        &["ssh", "remove", &key, "--scope", "app", "--everywhere"],
        &["ssh", "assign", &key, "--scope", "%host"],
    ] {
        assert_eq!(machine.say(words).status, 2, "{words:?}");
    }
}

#[test]
fn an_exported_key_is_private_and_needs_its_passphrase() {
    let machine = Machine::new();
    let key = generate(&machine, "app", "deploy");
    machine.write("own", "of-the-key\n");
    let words = ["ssh", "export", &key, "id", "--key-passphrase-file", "own"];
    let said = machine.say(&words).expect_success();
    assert_eq!(said.out, "");
    assert_eq!(machine.mode("id"), 0o600);
    let file = machine.text("id");
    assert!(!keygen(&["-y", "-P", "", "-f", &file]).status.success());
    let public = keygen(&["-y", "-P", "of-the-key", "-f", &file]);
    assert_eq!(String::from_utf8(public.stdout).unwrap(), machine.ok(&["ssh", "pub", &key]));
    machine.fails(&words, "exists", "does not exist");

    let out = machine.ok(&["ssh", "export", &key, "-", "--key-passphrase-file", "own"]);
    assert!(out.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"), "{out}");
    machine.write("empty", "\n");
    let bare = ["ssh", "export", &key, "bare", "--key-passphrase-file", "empty"];
    machine.fails(&bare, "nothing there", "");
    assert!(!machine.path("bare").exists());

    machine.ok(&["ssh", "remove", &key, "--everywhere"]);
    let again = ["ssh", "import", "id", "--scope", "app", "--key-passphrase-file", "own"];
    assert!(machine.ok(&again).ends_with(" deploy\n"));
}

#[test]
fn rules_are_added_shown_replaced_and_cleared() {
    let machine = Machine::new();
    let key = generate(&machine, "app", "deploy");
    assert!(machine.ok(&["ssh", "rules", &key]).contains("no rules"));
    let text = machine.ok(&["ssh", "rules", &key, "--host", GITHUB, "--user", "git"]);
    assert!(text.contains("(github.com)") && text.contains("user git"), "{text}");
    machine.ok(&["ssh", "rules", &key, "--namespace", "git"]);
    let json: Value = serde_json::from_str(&machine.ok(&["ssh", "rules", &key, "--json"])).unwrap();
    let fingerprint = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU";
    assert_eq!(json["hosts"][0]["fingerprint"], fingerprint);
    assert_eq!((&json["users"][0], &json["namespaces"][0]), (&"git".into(), &"git".into()));
    let list: Value = serde_json::from_str(&machine.ok(&["ssh", "list", "--json"])).unwrap();
    assert_eq!(list[0]["rules"], 3);

    let replaced = machine.say(&["ssh", "rules", &key, "--clear", "--host", fingerprint]);
    let replaced = replaced.expect_success();
    assert_eq!(replaced.out.trim(), format!("host {fingerprint}"));
    assert!(replaced.err.contains("removed 3 rules"), "{replaced:?}");
    assert!(machine.ok(&["ssh", "rules", &key, "--clear"]).contains("no rules"));
    let two = format!("{GITHUB}\n{GITHUB}");
    for bad in [
        ["--host", "github.com"],
        ["--host", two.as_str()],
        ["--user", ""],
        ["--namespace", "a\u{1b}b"],
    ] {
        let words = [&["ssh", "rules", key.as_str()], &bad[..]].concat();
        assert_eq!(machine.say(&words).status, 2, "{bad:?}");
    }
}

#[test]
fn rules_outlive_a_key_that_is_removed_and_imported_again() {
    let machine = Machine::new();
    let key = generate(&machine, "app", "deploy");
    machine.write("own", "of-the-key\n");
    machine.ok(&["ssh", "export", &key, "id", "--key-passphrase-file", "own"]);
    machine.ok(&["ssh", "rules", &key, "--user", "git"]);
    machine.ok(&["ssh", "remove", &key, "--everywhere"]);
    machine.ok(&["ssh", "import", "id", "--scope", "b", "--key-passphrase-file", "own"]);
    assert!(machine.ok(&["ssh", "rules", &key]).contains("user git"));
}

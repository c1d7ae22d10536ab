//! `terokctl ssh …`, judged by the real ssh-keygen.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::machine::Machine;

fn keygen(words: &[&str]) -> String {
    let output = Command::new("ssh-keygen").args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn make_key(path: &Path, more: &[&str]) {
    let file = path.to_str().unwrap();
    keygen(&[&["-q", "-f", file, "-C", "of the file"], more].concat());
}

#[test]
fn a_generated_key_is_one_that_ssh_keygen_reads() {
    let machine = Machine::new();
    for (kind, bits) in [("ed25519", "256 "), ("rsa", "3072 ")] {
        let line = machine.ok(&[
            "ssh",
            "generate",
            "--scope",
            kind,
            "--type",
            kind,
            "--comment",
            "deploy",
        ]);
        machine.write("key.pub", &line);
        let facts = keygen(&["-l", "-f", &machine.text("key.pub")]);
        assert!(facts.starts_with(bits) && facts.contains("deploy"), "{facts}");
        assert_eq!(machine.ok(&["ssh", "pub", "--scope", kind]), line);
        let fingerprint = facts.split(' ').nth(1).unwrap();
        assert!(machine.ok(&["ssh", "list"]).contains(fingerprint));
        assert_eq!(machine.ok(&["ssh", "pub", fingerprint]), line);
    }
}

#[test]
fn a_key_file_is_imported_with_its_comment() {
    let machine = Machine::new();
    make_key(&machine.path("id"), &["-t", "ed25519", "-N", ""]);
    let line = machine.ok(&["ssh", "import", "id", "--scope", "app"]);
    assert_eq!(line, machine.read("id.pub"));
    let again = machine.say(&["ssh", "import", "id", "--scope", "app"]).expect_success();
    assert!(again.err.contains("already has"), "{again:?}");
    let other = machine.say(&["ssh", "import", "id", "--scope", "b", "--comment", "x"]);
    assert!(other.err.contains("now also has"), "{other:?}");
    let list: Value = serde_json::from_str(&machine.ok(&["ssh", "list", "--json"])).unwrap();
    assert_eq!(list[0]["scopes"].as_array().unwrap().len(), 2);
    assert_eq!(list.as_array().unwrap().len(), 1);
}

#[test]
fn an_encrypted_key_needs_its_passphrase() {
    let machine = Machine::new();
    make_key(&machine.path("id"), &["-t", "ed25519", "-N", "of-the-key"]);
    machine.fails(&["ssh", "import", "id"], "protected", "--key-passphrase-file");
    machine.fails(&["ssh", "import", "id", "--key-passphrase-file", "passphrase"], "wrong", "");
    let words = ["ssh", "import", "id", "--key-passphrase-file", "-"];
    machine.with_input(&words, "of-the-key\n").expect_success();
    assert_eq!(machine.ok(&["ssh", "pub", "--scope", "default"]), machine.read("id.pub"));
}

#[test]
fn a_public_file_of_another_key_is_noticed() {
    let machine = Machine::new();
    make_key(&machine.path("one"), &["-t", "ed25519", "-N", ""]);
    make_key(&machine.path("two"), &["-t", "ed25519", "-N", ""]);
    machine.write("one.pub", &machine.read("two.pub"));
    machine.fails(&["ssh", "import", "one"], "do not belong together", "one.pub");
    machine.write("none", "not a key");
    machine.fails(&["ssh", "import", "none"], "neither an OpenSSH nor a PEM", "");
    machine.fails(&["ssh", "import", "absent"], "No such file", "");
}

#[test]
fn the_first_key_is_the_default_until_another_is_made_so() {
    let machine = Machine::new();
    for comment in ["one", "two"] {
        machine.ok(&["ssh", "generate", "--scope", "app", "--comment", comment]);
    }
    machine.ok(&["ssh", "generate", "--scope", "app", "--comment", "three", "--default"]);
    let lines = machine.ok(&["ssh", "pub", "--scope", "app"]);
    let comments: Vec<_> = lines.lines().map(|l| l.split(' ').next_back().unwrap()).collect();
    assert_eq!(comments, ["three", "one", "two"]);
}

#[test]
fn keys_that_are_not_there_are_told_with_a_hint() {
    let machine = Machine::new();
    machine.fails(&["ssh", "pub", "SHA256:none"], "there is none", "ssh list");
    machine.fails(&["ssh", "pub", "--scope", "app"], "has no key", "ssh generate");
    assert_eq!(machine.say(&["ssh", "pub"]).status, 2);
    for comment in ["a\nb", "\u{1b}[2J"] {
        assert_eq!(machine.say(&["ssh", "generate", "--comment", comment]).status, 2);
    }
}

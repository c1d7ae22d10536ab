//! Every command that does something says with `--json` what it did: one JSON value on standard
//! output, whatever else is said on standard error.

use serde_json::Value;

use crate::machine::{CREDENTIAL, Machine};

/// Runs `WORDS --json`; the one value it printed.
#[track_caller]
fn facts(machine: &Machine, words: &[&str], input: &str) -> Value {
    let words = [words, &["--json"]].concat();
    let said = machine.with_input(&words, input).expect_success();
    serde_json::from_str(&said.out).unwrap_or_else(|why| panic!("{words:?}: {why}: {said:?}"))
}

#[test]
fn what_is_done_to_the_vault_is_told_to_programs() {
    let machine = Machine::bare();
    let file = machine.text("passphrase");
    let vault = machine.text("vault/credentials.db");
    let made = facts(&machine, &["vault", "init", "--passphrase-file", &file], "");
    assert_eq!((&made["vault"], &made["unlocked"]), (&vault.as_str().into(), &true.into()));
    facts(&machine, &["vault", "lock"], "");
    facts(&machine, &["vault", "unlock", "--passphrase-file", &file], "");
    let added = facts(&machine, &["vault", "add", "github"], CREDENTIAL);
    assert_eq!((&added["provider"], &added["replaced"]), (&"github".into(), &false.into()));
    let import = facts(&machine, &["vault", "import", "env", "-"], "MISTRAL_API_KEY=sk-1\n");
    assert_eq!(import["stored"][0]["provider"], "mistral");
    let backup = machine.text("copy.db");
    assert_eq!(facts(&machine, &["vault", "backup", &backup], "")["file"], backup.as_str());
    facts(&machine, &["vault", "token", "mint", "github", "--subject", "w"], "");
    let revoked = facts(&machine, &["vault", "token", "revoke", "--subject", "w"], "");
    assert_eq!(revoked["revoked"], 1);
    let removed = facts(&machine, &["vault", "remove", "mistral"], "");
    assert_eq!((&removed["provider"], &removed["set"]), (&"mistral".into(), &"default".into()));
    machine.write("new", "another one\n");
    let words = ["vault", "passphrase", "change", "--new-passphrase-file", "new"];
    assert_eq!(facts(&machine, &words, "")["changed"], true);
}

#[test]
fn a_generated_passphrase_is_among_the_facts_and_nowhere_else() {
    let machine = Machine::bare();
    let words = ["vault", "init", "--generate", "--no-remember", "--json"];
    let said = machine.say(&words).expect_success();
    let made: Value = serde_json::from_str(&said.out).unwrap();
    let passphrase = made["passphrase"].as_str().unwrap();
    assert!(passphrase.len() == 39 && !said.err.contains(passphrase), "{said:?}");
}

#[test]
fn what_is_done_to_keys_and_launches_is_told_to_programs() {
    let machine = Machine::new();
    let made = facts(&machine, &["ssh", "generate", "--scope", "web"], "");
    let key = made["fingerprint"].as_str().unwrap().to_owned();
    assert!(made["public_key"].as_str().unwrap().starts_with("ssh-ed25519 "));
    let lines = facts(&machine, &["ssh", "pub", "--scope", "web"], "");
    assert_eq!(lines[0], made["public_key"]);
    for words in [
        &["ssh", "assign", &key, "--scope", "other"][..],
        &["ssh", "default", &key, "--scope", "other"],
        &["ssh", "remove", &key, "--scope", "other"],
    ] {
        let told = facts(&machine, words, "");
        assert_eq!((&told["fingerprint"], &told["scope"]), (&key.as_str().into(), &"other".into()));
    }
    let file = machine.text("exported");
    let words = ["ssh", "export", &key, &file, "--key-passphrase-file", "passphrase"];
    assert_eq!(facts(&machine, &words, "")["file"], file.as_str());
    facts(&machine, &["ssh", "remove", &key, "--everywhere"], "");
    let words = ["ssh", "import", &file, "--scope", "web", "--key-passphrase-file", "passphrase"];
    assert_eq!(facts(&machine, &words, "")["fingerprint"], key.as_str());

    facts(&machine, &["prepare", "web"], "");
    let gone = facts(&machine, &["cleanup", "web"], "");
    assert_eq!((&gone["name"], &gone["found"]), (&"web".into(), &true.into()));
    assert_eq!(facts(&machine, &["cleanup", "web"], "")["found"], false);
    let mirror = facts(&machine, &["gate", "init", "app"], "");
    assert_eq!(mirror["mirror"], machine.text("state/gate/app.git"));
    let pruned = facts(&machine, &["gate", "prune", "app"], "");
    assert_eq!((&pruned["removed"], &pruned["backups"]), (&true.into(), &serde_json::json!([])));
}

#[test]
fn a_bundle_that_was_changed_is_told_to_programs() {
    let machine = Machine::new();
    facts(&machine, &["prepare", "web"], "");
    machine.write("bundle/config.json", r#"{"ociVersion":"1.0.2"}"#);
    machine.program("unused", "#!/bin/sh\n");
    let sidecar = machine.text("state/sidecar/web.json");
    // Without an installed hook there is none to name.
    machine.write("state/libexec/terok-hook", "");
    let words = ["hooks", "inject", &machine.text("bundle"), "--sidecar", &sidecar];
    let told = facts(&machine, &words, "");
    assert_eq!((&told["sidecar"], &told["changed"]), (&sidecar.as_str().into(), &true.into()));
}

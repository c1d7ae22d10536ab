//! `terokctl vault passphrase`, `check`, `backup` and what `status` tells of the passphrase.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::machine::{CREDENTIAL, Machine, PASSPHRASE};

const NEW: &str = "staple it's new";

/// A stand-in for systemd-creds: what it seals it marks.
const SYSTEMD_CREDS: &str = "#!/bin/sh\n\
    case $1 in encrypt) printf sealed:; cat ;; decrypt) sed s/^sealed:// \"$4\" ;; esac\n";

fn change(machine: &Machine) -> String {
    machine.write("new", &format!("{NEW}\n"));
    let words = ["vault", "passphrase", "change", "--new-passphrase-file", "new"];
    let said = machine.say(&words).expect_success();
    assert!(!said.everything().contains("staple"), "{said:?}");
    said.everything()
}

#[test]
fn a_changed_passphrase_is_the_vaults_and_the_sessions() {
    let machine = Machine::furnished();
    let said = change(&machine);
    assert!(said.contains("new passphrase") && said.contains("unlocked until logout"), "{said}");
    assert!(machine.ok(&["vault", "list"]).contains("github"));
    machine.fails(&["vault", "list", "--passphrase-file", "passphrase"], "wrong passphrase", "");
    machine.ok(&["vault", "lock"]);
    machine.ok(&["vault", "list", "--passphrase-file", "new"]);
    // As after a crash: the operator does not know how far it came.
    let words = ["vault", "passphrase", "change", "--new-passphrase-file", "new"];
    let again = machine.ok(&[&words[..], &["--passphrase-file", "passphrase"]].concat());
    assert!(again.contains("already"), "{again}");
    machine.ok(&["vault", "list"]);
}

#[test]
fn a_session_that_shall_not_remember_forgets_the_old_passphrase() {
    let machine = Machine::new();
    machine.write("new", NEW);
    let words = ["vault", "passphrase", "change", "--new-passphrase-file", "new", "--no-remember"];
    machine.ok(&words);
    machine.fails(&["vault", "list"], "no passphrase", "vault unlock");
}

#[test]
fn the_passphrase_of_a_vault_in_use_is_not_changed() {
    let machine = Machine::furnished();
    let supervisor = machine.vault();
    supervisor.credentials().unwrap();
    machine.write("new", NEW);
    let words = ["vault", "passphrase", "change", "--new-passphrase-file", "new"];
    machine.fails(&words, "another process has it open", "stop the containers");
    drop(supervisor);
    machine.ok(&["vault", "list"]);
    machine.ok(&["vault", "list", "--passphrase-file", "passphrase"]);
    machine.ok(&words);
}

#[test]
fn a_sealed_passphrase_unlocks_and_follows_a_change() {
    let machine = Machine::furnished();
    machine.program("systemd-creds", SYSTEMD_CREDS);
    // Without a passphrase that is given it is what the session cache has.
    machine.ok(&["vault", "passphrase", "seal"]);
    assert!(machine.read("vault/vault.passphrase.cred").starts_with("sealed:x'"));
    machine.ok(&["vault", "passphrase", "seal", "--passphrase-file", "passphrase"]);
    assert_eq!(machine.read("vault/vault.passphrase.cred"), format!("sealed:{PASSPHRASE}"));
    assert_eq!(machine.mode("vault/vault.passphrase.cred"), 0o600);
    machine.ok(&["vault", "lock"]);
    assert!(machine.ok(&["vault", "status"]).contains("unlocked by the sealed file"));
    assert!(change(&machine).contains("sealed it again"));
    machine.ok(&["vault", "lock"]);
    machine.ok(&["vault", "list"]);
    machine.write("vault/vault.passphrase.cred", "sealed:stale");
    machine.fails(&["vault", "list"], "the passphrase of the sealed file", "passphrase seal");
    machine.ok(&["vault", "passphrase", "seal", "--passphrase-file", "new"]);
    machine.ok(&["vault", "list"]);
}

#[test]
fn a_seal_that_fails_leaves_a_change_that_can_be_repeated() {
    let machine = Machine::new();
    machine.program("systemd-creds", SYSTEMD_CREDS);
    machine.ok(&["vault", "passphrase", "seal"]);
    let broken = SYSTEMD_CREDS.replace("printf sealed:; cat", "exit 1");
    machine.program("systemd-creds", &broken);
    machine.write("new", NEW);
    let words = ["vault", "passphrase", "change", "--new-passphrase-file", "new"];
    machine.fails(&words, "still seals the old one", "run it again");
    machine.program("systemd-creds", SYSTEMD_CREDS);
    let said = machine.ok(&words);
    assert!(said.contains("already") && said.contains("sealed it again"), "{said}");
    machine.ok(&["vault", "list"]);
}

#[test]
fn a_wrong_passphrase_is_never_sealed() {
    let machine = Machine::new();
    machine.program("systemd-creds", SYSTEMD_CREDS);
    machine.write("wrong", "hunter2");
    let words = ["vault", "passphrase", "seal", "--passphrase-file", "wrong"];
    machine.fails(&words, "wrong passphrase", "");
    assert!(!machine.path("vault/vault.passphrase.cred").exists());
}

#[test]
fn status_tells_every_tier_and_which_would_answer() {
    let machine = Machine::furnished();
    let command = ["--passphrase-command", "echo hunter2"];
    let json = |more: &[&str]| -> Value {
        let words = [&["vault", "status", "--json"], more].concat();
        serde_json::from_str(&machine.ok(&words)).unwrap()
    };
    let open = json(&command);
    let outcomes: Vec<(&str, &str)> = open["tiers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tier| (tier["tier"].as_str().unwrap(), tier["outcome"].as_str().unwrap()))
        .collect();
    let names: Vec<&str> = outcomes.iter().map(|(tier, _)| *tier).collect();
    let all = ["sealed file", "os keyring", "kernel keyring", "session file", "passphrase command"];
    assert_eq!(names, all);
    assert_eq!((outcomes[0].1, outcomes[1].1, outcomes[4].1), ("nothing", "nothing", "not asked"));
    let answered: Vec<_> = outcomes.iter().filter(|(_, outcome)| *outcome == "answered").collect();
    assert_eq!(open["unlocked_by"], answered[0].0);
    assert_eq!(open["credentials"][0]["provider"], "github");
    assert!(!open.to_string().contains(CREDENTIAL));

    let text = machine.ok(&["vault", "status"]);
    assert!(text.contains("passphrase   sealed file: no /") && text.contains("EXPIRES"), "{text}");

    machine.ok(&["vault", "lock"]);
    let locked = json(&["--passphrase-command", "false hunter2"]);
    assert_eq!(locked["tiers"][4]["outcome"], "broken");
    assert_eq!(locked["credentials"], Value::Null);
    assert!(locked["locked"].as_str().unwrap().contains("passphrase command"));
    assert!(!locked.to_string().contains("hunter2"));
    let text = machine.ok(&["vault", "status"]);
    assert!(text.contains("locked: nobody has the passphrase"), "{text}");
}

#[test]
fn a_keyring_is_asked_only_where_it_is_allowed() {
    let machine = Machine::new();
    machine.ok(&["vault", "lock"]);
    machine.fails(&["vault", "list"], "os keyring: not allowed", "");
    let said = machine.fails(&["vault", "list", "--use-keyring"], "os keyring: ", "");
    assert!(!said.err.contains("os keyring: not allowed"), "{said:?}");
}

#[test]
fn a_sound_vault_passes_the_check_and_a_damaged_one_is_told() {
    let machine = Machine::furnished();
    assert!(machine.ok(&["vault", "check"]).contains("is sound"));
    let file = machine.path("vault/credentials.db");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let said = machine.fails(&["vault", "check"], "1 finding", "vault backup");
    assert!(said.out.contains("is open to others with mode 0644"), "{said:?}");
    machine.ok(&["vault", "check"]);
    let mut bytes = fs::read(&file).unwrap();
    let last = bytes.len() - 2000;
    bytes[last] ^= 1;
    fs::write(&file, bytes).unwrap();
    let said = machine.say(&["vault", "check", "--json"]);
    assert_eq!(said.status, 1);
    let findings: Value = serde_json::from_str(&said.out).unwrap();
    assert!(
        findings.as_array().unwrap().iter().any(|f| f.to_string().contains("page")),
        "{said:?}"
    );
}

#[test]
fn a_backup_opens_with_the_same_passphrase_and_overwrites_nothing() {
    let machine = Machine::furnished();
    machine.ok(&["vault", "backup", "kept.db"]);
    assert_eq!(machine.mode("kept.db"), 0o600);
    machine.fails(&["vault", "backup", "kept.db"], "kept.db", "");
    machine.ok(&["vault", "remove", "github"]);
    fs::copy(machine.path("kept.db"), machine.path("vault/credentials.db")).unwrap();
    assert!(machine.ok(&["vault", "list"]).contains("github"));
    machine.ok(&["vault", "check"]);
}

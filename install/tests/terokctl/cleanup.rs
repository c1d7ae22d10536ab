//! `terokctl cleanup`: takes back what prepare made, and nothing that is still served.

use std::fs;
use std::process::{Child, Stdio};

use terok_shared::secret::Secret;
use vault_store::token::TokenInfo;

use crate::machine::Machine;

const PREPARE: [&str; 7] = ["prepare", "web", "--provider", "github", "--scope", "app", "--ssh"];

/// A process that looks like the supervisor of `web`; ends with its standard input.
fn supervisor(machine: &Machine) -> Child {
    machine
        .command("/bin/sh")
        .args(["-c", "read forever", "/lib/terok-supervisor", "--sidecar"])
        .arg(machine.path("state/sidecar/web.json"))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn everything_of_the_launch_goes_and_nothing_else() {
    let machine = Machine::furnished();
    machine.ok(&PREPARE);
    machine.ok(&["prepare", "db", "--provider", "github"]);
    // As a supervisor leaves it behind.
    machine.write("run/terok/sandbox/run/web/vault/vault.sock", "");
    assert!(machine.ok(&["cleanup", "web"]).contains("2 tokens revoked"));
    assert!(machine.has_nothing_of("web"));
    assert!(machine.path("state/sidecar/db.json").exists());
    assert_eq!(machine.tokens().len(), 1);
}

#[test]
fn cleaning_up_again_is_no_error() {
    let machine = Machine::furnished();
    machine.ok(&PREPARE);
    machine.ok(&["cleanup", "web"]);
    assert!(machine.ok(&["cleanup", "web"]).contains("nothing to clean up"));
    machine.ok(&PREPARE);
}

#[test]
fn a_living_supervisor_is_not_pulled_the_rug_from_under() {
    let machine = Machine::furnished();
    machine.ok(&PREPARE);
    let mut living = supervisor(&machine);
    let pid = format!("pid {}", living.id());
    machine.fails(&["cleanup", "web"], &pid, "--force");
    assert!(machine.path("state/sidecar/web.json").exists());
    assert_eq!(machine.tokens().len(), 2);
    machine.ok(&["cleanup", "web", "--force"]);
    assert!(machine.has_nothing_of("web"));
    drop(living.stdin.take());
    living.wait().unwrap();
}

#[test]
fn a_supervisor_of_another_container_is_not_in_the_way() {
    let machine = Machine::furnished();
    machine.ok(&PREPARE);
    machine.ok(&["prepare", "db", "--provider", "github"]);
    let mut living = supervisor(&machine);
    machine.ok(&["cleanup", "db"]);
    assert!(living.try_wait().unwrap().is_none(), "it was ended along");
    drop(living.stdin.take());
    living.wait().unwrap();
}

#[test]
fn a_locked_vault_stops_the_cleanup_before_anything_goes() {
    let machine = Machine::furnished();
    machine.ok(&PREPARE);
    machine.ok(&["vault", "lock"]);
    machine.fails(&["cleanup", "web"], "no passphrase", "vault unlock");
    assert!(machine.path("state/sidecar/web.json").exists());
    assert!(machine.path("run/terok/sandbox/run/web").exists());
    machine.ok(&["cleanup", "web", "--passphrase-file", "passphrase"]);
    assert!(machine.has_nothing_of("web"));
}

#[test]
fn the_sidecars_own_passphrase_command_is_enough() {
    let machine = Machine::furnished();
    let command = format!("cat '{}'", machine.text("passphrase"));
    machine.ok(&[&PREPARE[..], &["--passphrase-command", &command]].concat());
    machine.ok(&["vault", "lock"]);
    machine.ok(&["cleanup", "web"]);
    assert!(machine.has_nothing_of("web"));
}

#[test]
fn a_vault_that_is_gone_has_no_tokens() {
    let machine = Machine::furnished();
    machine.ok(&PREPARE);
    fs::remove_dir_all(machine.path("vault")).unwrap();
    machine.ok(&["cleanup", "web"]);
    assert!(!machine.path("state/sidecar/web.json").exists());
}

#[test]
fn an_unreadable_sidecar_is_cleaned_up_by_its_name_when_forced() {
    let machine = Machine::furnished();
    machine.ok(&PREPARE);
    machine.write("state/sidecar/web.json", "{");
    machine.fails(&["cleanup", "web"], "not JSON", "--force");
    machine.ok(&["cleanup", "web", "--force"]);
    assert!(machine.has_nothing_of("web"));
}

#[test]
fn another_launchers_sidecar_is_understood() {
    let machine = Machine::furnished();
    let runtime = machine.text("run/terok/sandbox");
    let database = machine.text("vault/credentials.db");
    machine.write("run/terok/sandbox/run/c1/vault/x", "");
    let sidecar = machine.write(
        "state/sidecar/c1.json",
        &format!(
            r#"{{"container_name":"c1","db_path":"{database}","runtime_dir":"{runtime}",
                "scope_id":"proj1"}}"#
        ),
    );
    fs::set_permissions(sidecar, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let info = |subject: &str| TokenInfo {
        scope: "proj1".into(),
        subject: subject.into(),
        credential_set: "default".into(),
        provider: "github".into(),
    };
    let kept: Secret<String> = machine.vault().mint_token(&info("c2")).unwrap();
    machine.vault().mint_token(&info("c1")).unwrap();
    assert!(machine.ok(&["cleanup", "c1"]).contains("1 token revoked"));
    assert!(machine.has_nothing_of("c1"));
    assert!(machine.vault().token(kept.expose()).unwrap().is_some());
}

//! Prompts, on a terminal that script(1) provides: what is typed must not show.

use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use crate::machine::{Machine, Said};

/// Runs terokctl on a terminal and types the lines, each when it had time to ask.
fn typed(machine: &Machine, words: &str, lines: &[&str]) -> Option<Said> {
    typed_with(machine, words, lines, &[])
}

fn typed_with(
    machine: &Machine,
    words: &str,
    lines: &[&str],
    variables: &[(&str, &str)],
) -> Option<Said> {
    let line = format!("{} {words}", env!("CARGO_BIN_EXE_terokctl"));
    let child = machine
        .command("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        println!("skipped: there is no script(1) to provide a terminal");
        return None;
    };
    let mut keyboard = child.stdin.take().unwrap();
    for line in lines {
        // Typed before the prompt it would be echoed by the terminal itself.
        sleep(Duration::from_millis(1500));
        std::io::Write::write_all(&mut keyboard, format!("{line}\n").as_bytes()).unwrap();
    }
    let said = child.wait_with_output().unwrap().into();
    drop(keyboard);
    Some(said)
}

#[test]
fn a_new_passphrase_is_asked_for_twice_and_not_echoed() {
    let machine = Machine::bare();
    let Some(said) = typed(&machine, "vault init", &["tr0ub4dor", "tr0ub4dor"]) else { return };
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.out.contains("Vault passphrase: ") && said.out.contains("again: "), "{said:?}");
    assert!(!said.everything().contains("tr0ub4dor"), "{said:?}");
    machine.ok(&["vault", "list"]);
}

#[test]
fn two_different_passphrases_make_no_vault() {
    let machine = Machine::bare();
    let Some(said) = typed(&machine, "vault init", &["tr0ub4dor", "troubador"]) else { return };
    assert_ne!(said.status, 0);
    assert!(said.out.contains("the two differ"), "{said:?}");
    assert!(!machine.path("vault/credentials.db").exists());
}

#[test]
fn a_locked_vault_asks_at_the_terminal() {
    let machine = Machine::new();
    machine.ok(&["vault", "lock"]);
    let Some(said) = typed(&machine, "vault list", &[crate::machine::PASSPHRASE]) else { return };
    assert_eq!(said.status, 0, "{said:?}");
    assert!(!said.everything().contains(crate::machine::PASSPHRASE), "{said:?}");
}

#[test]
fn a_credential_is_asked_for_without_echo() {
    let machine = Machine::new();
    let Some(said) = typed(&machine, "vault add github", &["ghp_typed"]) else { return };
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.out.contains("Credential for github: "), "{said:?}");
    assert!(!said.everything().contains("ghp_typed"), "{said:?}");
    let stored = machine.vault().credential("default", "github").unwrap().unwrap();
    assert_eq!(stored.secret().unwrap().expose(), "ghp_typed");
}

#[test]
fn a_changed_passphrase_is_asked_for_twice_without_echo() {
    let machine = Machine::new();
    let typing = ["tr0ub4dor", "tr0ub4dor"];
    let Some(said) = typed(&machine, "vault passphrase change", &typing) else { return };
    assert_eq!(said.status, 0, "{said:?}");
    assert!(said.out.contains("New vault passphrase: "), "{said:?}");
    assert!(said.out.contains("New vault passphrase again: "), "{said:?}");
    assert!(!said.everything().contains("tr0ub4dor"), "{said:?}");
    machine.fails(&["vault", "list", "--passphrase-file", "passphrase"], "wrong passphrase", "");
    machine.ok(&["vault", "list"]);
}

#[test]
fn the_passphrase_of_an_exported_key_is_asked_for_twice_without_echo() {
    let machine = Machine::new();
    machine.ok(&["ssh", "generate", "--scope", "app"]);
    let list = machine.ok(&["ssh", "list"]);
    let fingerprint = list.lines().nth(1).unwrap().split(' ').next().unwrap();
    let words = format!("ssh export {fingerprint} id");
    let Some(said) = typed(&machine, &words, &["tr0ub4dor", "troubador"]) else { return };
    assert_ne!(said.status, 0);
    assert!(said.out.contains("the two differ") && !machine.path("id").exists(), "{said:?}");
    let Some(said) = typed(&machine, &words, &["tr0ub4dor", "tr0ub4dor"]) else { return };
    assert_eq!(said.status, 0, "{said:?}");
    assert!(!said.everything().contains("tr0ub4dor"), "{said:?}");
    assert_eq!(machine.mode("id"), 0o600);
}

#[test]
fn a_purge_asks_and_only_yes_is_a_yes() {
    let machine = Machine::new();
    machine.ok(&["prepare", "web"]);
    machine.ok(&["cleanup", "web"]);
    let Some(said) = typed(&machine, "uninstall --purge", &["y"]) else { return };
    assert!(said.status == 1 && said.out.contains("Type `yes` to go on"), "{said:?}");
    assert!(said.out.contains(&machine.text("vault/credentials.db")), "{said:?}");
    assert!(machine.path("vault/credentials.db").exists());
    let said = typed(&machine, "uninstall --purge", &["yes"]).unwrap();
    assert_eq!(said.status, 0, "{said:?}");
    assert!(!machine.path("vault").exists() && !machine.path("state").exists(), "{said:?}");
}

#[test]
fn a_watched_status_is_drawn_again_and_again() {
    let machine = Machine::bare();
    // Ctrl-C, as the terminal sends it for the key.
    let Some(said) = typed(&machine, "status --watch", &["", "\u{3}"]) else { return };
    // Erased once, then drawn from the top every second.
    assert_eq!(said.out.matches("\u{1b}[2J").count(), 1, "{said:?}");
    assert!(said.out.matches("\u{1b}[H").count() >= 2, "{said:?}");
    assert!(said.out.contains("SERVICES"), "{said:?}");
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let machine = Machine::bare();
    let has_colour = |variables: &[(&str, &str)]| {
        let said = typed_with(&machine, "doctor", &[], variables)?;
        assert!(said.out.contains("podman") && said.out.contains("hint: "), "{said:?}");
        Some(said.out.contains("\u{1b}["))
    };
    let Some(plain) = has_colour(&[("TERM", "xterm"), ("NO_COLOR", "1")]) else { return };
    assert!(!plain);
    assert_eq!(has_colour(&[("TERM", "xterm")]), Some(true));
    assert_eq!(has_colour(&[("TERM", "dumb")]), Some(false));
}

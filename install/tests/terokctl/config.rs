//! The configuration file in force: `config show`, and what other commands make of it.

use std::process::Command;

use serde_json::Value;

use crate::machine::{Machine, PASSPHRASE};

const FILE: &str = "home/.config/terok/config.yml";

/// terokctl with no variable but the home directory's.
fn plain(machine: &Machine, words: &[&str]) -> Command {
    let mut command = machine.terokctl(words);
    for name in ["TEROK_SANDBOX_STATE_DIR", "TEROK_SANDBOX_RUNTIME_DIR", "TEROK_VAULT_DIR"] {
        command.env_remove(name);
    }
    // For root the usual file is the machine's own.
    command.env("TEROK_CONFIG_FILE", machine.path(FILE));
    command
}

fn told(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn config_show_says_where_each_value_comes_from() {
    let machine = Machine::bare();
    let root = machine.text("elsewhere");
    machine.write(
        FILE,
        &format!("paths:\n  root: {root}\ncredentials:\n  passphrase_command: echo hunter2\n"),
    );
    let words = ["config", "show", "--json"];
    let shown = told(plain(&machine, &words).env("TEROK_VAULT_USE_KEYRING", "yes"));
    let settings = &shown["settings"];
    let line = |n: usize| format!("{}:{n}", machine.text(FILE));
    assert_eq!(settings["state directory"]["value"], format!("{root}/sandbox"));
    assert_eq!(settings["state directory"]["from"], line(2));
    assert_eq!(settings["vault directory"]["value"], format!("{root}/vault"));
    assert_eq!(settings["credentials.passphrase_command"]["from"], line(4));
    assert_eq!(settings["credentials.use_keyring"]["from"], "TEROK_VAULT_USE_KEYRING");
    assert_eq!(settings["services.mode"]["value"], "socket");
    assert_eq!(settings["services.mode"]["from"], "default");
    let output = plain(&machine, &["config", "show"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("SETTING") && text.contains(&line(4)), "{text}");
    assert!(!text.contains("hunter2") && !shown.to_string().contains("hunter2"), "{text}");
}

#[test]
fn the_files_directories_and_command_are_those_of_every_command() {
    let machine = Machine::bare();
    let file = machine.text("passphrase");
    machine.write(
        FILE,
        &format!(
            "paths: {{root: {}}}\ncredentials: {{passphrase_command: cat {file}}}\n",
            machine.text("elsewhere")
        ),
    );
    let init = ["vault", "init", "--no-remember", "--passphrase-file", &file];
    assert!(plain(&machine, &init).status().unwrap().success());
    assert!(machine.path("elsewhere/vault/credentials.db").exists());
    // Nothing but the file's command has the passphrase.
    let list = plain(&machine, &["vault", "list", "--json"]).output().unwrap();
    assert!(list.status.success(), "{}", String::from_utf8_lossy(&list.stderr));
    let other = machine.write("other", &format!("not {PASSPHRASE}\n"));
    let command = format!("cat {}", other.display());
    let words = ["vault", "list", "--passphrase-command", &command];
    assert!(!plain(&machine, &words).status().unwrap().success(), "an option wins over the file");
}

#[test]
fn the_files_mode_is_a_launchs_unless_an_option_says_otherwise() {
    let machine = Machine::bare();
    machine.write(FILE, "services: {mode: tcp}\ncredentials: {use_keyring: true}\n");
    let prepare = |name: &str, more: &[&str]| {
        let words = [&["prepare", name][..], more].concat();
        let mut command = machine.terokctl(&words);
        let output = command.env("TEROK_CONFIG_FILE", machine.path(FILE)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let sidecar = machine.read(&format!("state/sidecar/{name}.json"));
        serde_json::from_str::<Value>(&sidecar).unwrap()
    };
    let sidecar = prepare("by-file", &[]);
    assert_eq!((&sidecar["ipc_mode"], &sidecar["tcp_port"].is_number()), (&"tcp".into(), &true));
    assert_eq!(sidecar["credentials_use_keyring"], true);
    let sidecar = prepare("by-option", &["--mode", "socket", "--use-keyring=false"]);
    assert_eq!(sidecar["ipc_mode"], "socket");
    assert_eq!(sidecar["credentials_use_keyring"], false);
}

#[test]
fn a_file_that_cannot_be_used_stops_every_command_with_its_line() {
    let machine = Machine::bare();
    machine.write(FILE, "services:\n  mode: carrier-pigeon\n");
    for words in [&["status"][..], &["config", "show"], &["doctor"]] {
        let output = plain(&machine, words).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(said.contains("config.yml:2: services.mode: ") && said.contains("\nhint: "));
    }
    // Neither needs to know where anything is.
    assert!(plain(&machine, &["completions", "bash"]).output().unwrap().status.success());
}

#[test]
fn a_misspelt_key_is_pointed_out() {
    let machine = Machine::bare();
    machine.write(FILE, "services: {mod: tcp}\nother_tool: {anything: 1}\n");
    let shown = told(&mut plain(&machine, &["config", "show", "--json"]));
    assert_eq!(shown["unknown"][0]["key"], "services.mod");
    assert_eq!(shown["unknown"].as_array().unwrap().len(), 1);
    let said = plain(&machine, &["status"]).output().unwrap();
    assert!(String::from_utf8(said.stderr).unwrap().contains("unknown key services.mod"));
}

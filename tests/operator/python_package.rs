//! An installation of the Python package terok-sandbox, with its own descriptors and list.

use std::ffi::OsStr;
use std::fs;

use terok_tests::fixtures;

use crate::desk::Desk;

const DESCRIPTORS: [&str; 2] =
    ["terok-sandbox-supervisor-createRuntime.json", "terok-sandbox-supervisor-poststop.json"];

/// As that package's own setup leaves it.
fn install(desk: &Desk) {
    let hooks = desk.state().join("hooks");
    for name in DESCRIPTORS {
        desk.write(&hooks.join(name), &fixtures::text(&format!("hooks/{name}")));
    }
    desk.write(&desk.conf(), &format!("[engine]\nhooks_dir = [\"{}\"]\n", hooks.display()));
}

#[test]
fn it_is_set_aside_when_asked_for_and_back_after_uninstall() {
    let desk = Desk::new();
    install(&desk);
    let before = desk.snapshot();
    let said = desk.fails(&["setup"]);
    assert!(said.contains("two supervisors\nhint: run `terokctl setup --replace`"), "{said}");
    assert_eq!(desk.snapshot(), before);

    let told = desk.ok(&["setup", "--replace"]);
    assert!(told.contains("set 2 descriptors of the Python package aside"), "{told}");
    assert!(told.contains("fire the hook once: keeper"), "{told}");
    let hooks = desk.state().join("hooks");
    let read_by_podman: Vec<String> = fs::read_dir(&hooks)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    assert!(read_by_podman.iter().all(|name| name.starts_with("terok-supervisor-")));
    assert_eq!(read_by_podman.len(), 2);

    desk.ok(&["uninstall"]);
    assert_eq!(desk.snapshot(), before);
}

/// What that package makes of the same file, in a line each.
const ASK: &str = "\
from terok_sandbox.config import SandboxConfig
c = SandboxConfig()
for value in (c.state_dir, c.vault_dir, c.services_mode, c.credentials_use_keyring,
              c.credentials_passphrase_command):
    print(value)
";

/// The module of its configuration has type parameters (PEP 695); the rest of it has none.
fn reads_its_configuration(python: &OsStr) -> bool {
    let ask = "import sys; sys.exit(sys.version_info < (3, 12))";
    std::process::Command::new(python).args(["-c", ask]).status().unwrap().success()
}

#[test]
fn both_understand_a_configuration_file_alike() {
    let Some(python) = std::env::var_os("TEROK_TEST_PYTHON") else {
        println!("skipped: TEROK_TEST_PYTHON names no interpreter with terok_sandbox");
        return;
    };
    if !reads_its_configuration(&python) {
        println!("skipped: its configuration needs Python 3.12, TEROK_TEST_PYTHON is older");
        return;
    }
    let desk = Desk::new();
    let file = desk.path("config.yml");
    for text in [
        "services: {mode: tcp}\ncredentials:\n  use_keyring: no\n  passphrase_command: \"cat '/a b'\"\n\
         paths:\n  root: /srv/terok\n  build_dir: /build\nshield: {audit: true}\n",
        "paths:\n  root: ~/below home\ncredentials: {use_keyring: true, passphrase_command: null}\n",
    ] {
        desk.write(&file, text);
        let theirs = std::process::Command::new(&python)
            .args(["-c", ASK])
            .env_clear()
            .env("HOME", desk.path("home"))
            .env("TEROK_CONFIG_FILE", &file)
            .output()
            .unwrap();
        let theirs = String::from_utf8(theirs.stdout).unwrap();
        let mut command = desk.command(&["config", "show", "--json"]);
        for name in ["TEROK_SANDBOX_STATE_DIR", "TEROK_VAULT_DIR"] {
            command.env_remove(name);
        }
        let ours = command.env("TEROK_CONFIG_FILE", &file).output().unwrap();
        let ours: serde_json::Value = serde_json::from_slice(&ours.stdout).unwrap();
        let value = |key: &str| ours["settings"][key]["value"].clone();
        let lines: Vec<&str> = theirs.lines().collect();
        assert_eq!(value("state directory"), lines[0]);
        assert_eq!(value("vault directory"), lines[1]);
        assert_eq!(value("services.mode"), lines[2]);
        assert_eq!(value("credentials.use_keyring"), lines[3].to_lowercase());
        // Its text is not shown, and who has it is another test's matter.
        assert_eq!(value("credentials.passphrase_command").is_null(), lines[4] == "None");
    }
}

//! `status`, `logs`, `doctor`, `respawn`, `version`, `completions` and `man`, on a machine where
//! nothing runs.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::machine::Machine;

/// A podman that has one stopped container, and none of the names that are asked for.
const PODMAN: &str = r#"#!/bin/sh
case $1 in
    --version) echo podman version 4.3.1 ;;
    ps) echo '[{"Id":"aa","Names":["kept"],"State":"exited"}]' ;;
    container) echo 'Error: no such container' >&2; exit 125 ;;
esac
"#;

fn sidecar(machine: &Machine, name: &str) {
    let vault = machine.text("vault/credentials.db");
    let run = machine.text("run/terok/sandbox");
    let json =
        format!(r#"{{"container_name":"{name}","db_path":"{vault}","runtime_dir":"{run}"}}"#);
    let path = machine.write(&format!("state/sidecar/{name}.json"), &json);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let past = SystemTime::now() - Duration::from_secs(2 * 60 * 60);
    File::options().write(true).open(path).unwrap().set_modified(past).unwrap();
}

fn doctor(machine: &Machine) -> (Vec<Value>, i32) {
    let said = machine.say(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    (report["findings"].as_array().unwrap().clone(), said.status)
}

fn about<'f>(findings: &'f [Value], words: &str) -> &'f Value {
    let told = |finding: &&Value| finding["what"].as_str().is_some_and(|w| w.contains(words));
    findings.iter().find(told).unwrap_or_else(|| panic!("{words} not in {findings:?}"))
}

#[test]
fn status_of_nothing_is_no_error_and_of_a_stranger_is_one() {
    let machine = Machine::bare();
    let said = machine.say(&["status"]);
    assert!(said.status == 0 && said.out.is_empty() && said.err.contains("no containers"));
    assert_eq!(machine.ok(&["status", "--json"]).trim(), "[]");
    assert_eq!(machine.say(&["-q", "status"]).everything(), "");
    machine.fails(&["status", "web"], "web", "terokctl status");
    machine.fails(&["logs", "web"], "web", "terokctl status");
    machine.fails(&["respawn", "web"], "no such container", "terokctl status");
    machine.fails(&["status", "--watch"], "no terminal", "");
}

#[test]
fn a_prepared_container_is_shown_as_stopped_without_colour_in_a_pipe() {
    let machine = Machine::bare();
    sidecar(&machine, "web");
    let text = machine.ok(&["status"]);
    assert!(text.starts_with("NAME") && text.contains("stopped") && !text.contains('\u{1b}'));
    let told: Value = serde_json::from_str(&machine.ok(&["status", "web", "--json"])).unwrap();
    assert_eq!((&told[0]["name"], &told[0]["state"]), (&"web".into(), &"stopped".into()));
}

#[test]
fn doctor_says_what_a_bare_machine_lacks_and_how_to_get_it() {
    let machine = Machine::bare();
    machine.program("podman", PODMAN);
    let (findings, status) = doctor(&machine);
    assert_eq!(status, 1);
    let hooks = about(&findings, "not installed");
    assert_eq!((&hooks["grade"], &hooks["hint"]), (&"broken".into(), &"run terokctl setup".into()));
    assert_eq!(about(&findings, "none at")["hint"], "run terokctl vault init");
    let text = machine.say(&["doctor"]);
    assert!(text.out.contains("BROKEN") && text.err.is_empty(), "{text:?}");
    assert!(text.out.lines().last().unwrap().contains("broken"), "{text:?}");
    let quiet = machine.say(&["doctor", "-q"]).out;
    assert!(!quiet.lines().any(|line| line.starts_with("ok")), "{quiet}");
}

#[test]
fn doctor_names_a_locked_vault_and_an_unlocked_one() {
    let machine = Machine::new();
    assert_eq!(about(&doctor(&machine).0, "unlocked by")["grade"], "good");
    machine.ok(&["vault", "lock"]);
    let (findings, _) = doctor(&machine);
    assert_eq!(about(&findings, "locked: ")["hint"], "run terokctl vault unlock");
}

#[test]
fn a_sidecar_without_a_container_is_told_after_an_hour_and_never_removed() {
    let machine = Machine::bare();
    machine.program("podman", PODMAN);
    sidecar(&machine, "lost");
    sidecar(&machine, "kept");
    machine.say(&["doctor", "--fix"]);
    let (findings, _) = doctor(&machine);
    let lost = about(&findings, "lost was prepared 2h ago");
    assert_eq!((&lost["grade"], &lost["fixable"]), (&"warning".into(), &false.into()));
    assert!(lost["hint"].as_str().unwrap().contains("terokctl cleanup lost"));
    assert!(!findings.iter().any(|f| f["what"].as_str().unwrap().contains("kept was")));
    assert!(machine.path("state/sidecar/lost.json").exists());
}

#[test]
fn without_an_answer_of_podmans_no_sidecar_is_suspected() {
    let machine = Machine::bare();
    machine.program("podman", "#!/bin/sh\necho broken >&2; exit 125\n");
    sidecar(&machine, "lost");
    let (findings, _) = doctor(&machine);
    assert!(!findings.iter().any(|f| f["what"].as_str().unwrap().contains("lost was")));
    about(&findings, "broken");
}

#[test]
fn a_socket_directory_without_a_sidecar_is_removed() {
    let machine = Machine::bare();
    let directory = machine.path("run/terok/sandbox/run/gone");
    fs::create_dir_all(directory.join("vault")).unwrap();
    let past = SystemTime::now() - Duration::from_secs(100);
    File::open(&directory).unwrap().set_modified(past).unwrap();
    about(&doctor(&machine).0, "run/gone has no sidecar");
    assert!(directory.exists());
    machine.say(&["doctor", "--fix"]);
    assert!(!directory.exists());
}

#[test]
fn a_descriptor_that_stops_every_container_is_found_where_podman_reads_it() {
    let machine = Machine::bare();
    let hooks = machine.path("hooks.d");
    machine.write("hooks.d/torn.json", "{");
    let conf = format!("[engine]\nhooks_dir = [\"{}\"]\n", hooks.display());
    machine.write("home/.config/containers/containers.conf", &conf);
    let (findings, status) = doctor(&machine);
    assert_eq!((status, &about(&findings, "torn.json")["grade"]), (1, &"broken".into()));
}

#[test]
fn a_hooks_directory_that_podman_does_not_read_is_broken() {
    let machine = Machine::bare();
    fs::create_dir_all(machine.path("state/hooks")).unwrap();
    let conf = format!("[engine]\nhooks_dir = [\"{}\"]\n", machine.text("other.d"));
    machine.write("home/.config/containers/containers.conf", &conf);
    let (findings, status) = doctor(&machine);
    let finding = about(&findings, "podman does not read");
    assert_eq!((status, &finding["grade"]), (1, &"broken".into()));
    assert_eq!(finding["hint"], "run terokctl setup");
}

#[test]
fn versions_name_the_formats_others_share() {
    let machine = Machine::bare();
    assert!(machine.ok(&["version"]).starts_with("terokctl 0."));
    let verbose = machine.ok(&["version", "-v"]);
    assert!(verbose.contains("terok-vault-keeper"), "{verbose}");
    assert!(verbose.contains("0.6.0") && verbose.contains("vault schema      4"), "{verbose}");
    let json: Value = serde_json::from_str(&machine.ok(&["version", "--json"])).unwrap();
    assert_eq!((&json["vault_schema"], &json["sidecar_contract"]), (&4.into(), &"0.6.0".into()));
}

#[test]
fn completions_and_man_pages_know_every_command() {
    let machine = Machine::bare();
    for shell in ["bash", "zsh", "fish"] {
        let script = machine.ok(&["completions", shell]);
        assert!(script.contains("respawn") && script.contains("doctor"), "{shell}");
    }
    fs::create_dir(machine.path("man")).unwrap();
    machine.ok(&["man", &machine.text("man")]);
    let page = machine.read("man/terokctl-doctor.1");
    assert!(page.contains("--fix") || page.contains("\\-\\-fix"), "{page}");
    assert!(machine.path("man/terokctl.1").exists());
    machine.fails(&["man", &machine.text("nowhere")], "write man pages", "");
    assert_eq!(machine.say(&["completions", "no-such-shell"]).status, 2);
}

#[test]
fn loud_and_quiet_exclude_each_other() {
    let machine = Machine::bare();
    assert_eq!(machine.say(&["-v", "-q", "status"]).status, 2);
    assert_eq!(machine.say(&["status", "-vv"]).status, 0);
}

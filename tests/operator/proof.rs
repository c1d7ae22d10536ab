//! Setup fires the hook once, and keeps nothing when that does not work.

use std::fs;

use crate::desk::Desk;

const REGISTERED: &str = "# mine\n[engine]\nhooks_dir = [\"/usr/share/containers/oci/hooks.d\"]\n";

#[test]
fn setup_proves_itself_and_uninstall_leaves_the_home_as_it_was() {
    let desk = Desk::new();
    desk.write(&desk.conf(), REGISTERED);
    let before = desk.snapshot();
    let dry = desk.ok(&["setup", "--dry-run"]);
    assert!(dry.contains("would      fire the hook once"), "{dry}");
    assert_eq!(desk.snapshot(), before);
    let told = desk.ok(&["setup"]);
    assert!(told.contains("keeper, broker, signer came up"), "{told}");
    // Every step that was announced, and no other; what came of the last is known only now.
    let steps = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split(':').next().unwrap()[11..].chars().take(18).collect())
            .collect()
    };
    assert_eq!(steps(&dry), steps(&told));
    desk.nothing_runs();
    let again = desk.ok(&["setup"]);
    assert_eq!(again.matches("unchanged").count(), 4, "{again}");
    desk.ok(&["uninstall"]);
    assert_eq!(desk.snapshot(), before);
    assert_eq!(fs::read_to_string(desk.conf()).unwrap(), REGISTERED);
}

#[test]
fn a_service_that_does_not_start_undoes_the_setup_and_is_explained() {
    let desk = Desk::new();
    desk.write(&desk.conf(), REGISTERED);
    let before = desk.snapshot();
    desk.rebuild("terok-token-broker", |_| b"#!/bin/sh\necho no such luck >&2; exit 4\n".to_vec());
    let said = desk.fails(&["setup"]);
    assert!(said.contains("fire the hook once: ") && said.contains("broker"), "{said}");
    assert!(said.contains("everything was undone\nhint: "), "{said}");
    assert_eq!(desk.snapshot(), before);
    assert_eq!(fs::read_to_string(desk.conf()).unwrap(), REGISTERED);
    desk.nothing_runs();
    desk.ok(&["setup", "--no-verify"]);
}

#[test]
fn a_failed_upgrade_leaves_the_installation_that_works() {
    let desk = Desk::new();
    desk.ok(&["setup"]);
    let before = desk.snapshot();
    desk.rebuild("terok-hook", |_| b"#!/bin/sh\necho broken >&2; exit 1\n".to_vec());
    let said = desk.fails(&["setup"]);
    assert!(said.contains("hook createRuntime: exit status: 1: broken"), "{said}");
    assert_eq!(desk.snapshot(), before);
    desk.nothing_runs();
}

#[test]
fn the_report_is_there_for_programs_too() {
    let desk = Desk::new();
    let report = desk.ok(&["setup", "--no-verify", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["steps"][0]["outcome"], "done");
    let report = desk.ok(&["uninstall", "--purge", "--yes", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert!(report["steps"].is_array() && report["purged"].is_array());
}

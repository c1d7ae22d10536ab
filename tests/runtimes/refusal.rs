//! What the wrapper does when it cannot do its work: the container starts and the diary says why,
//! unless its sidecar insists.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use crate::stand_in::{STATUS, StandIn};

#[test]
fn without_the_hook_program_the_container_starts_and_the_diary_says_why() {
    let stand_in = StandIn::new();
    let before = stand_in.write_annotated();
    fs::remove_file(stand_in.hook()).unwrap();
    assert_eq!(stand_in.create().status.code(), Some(STATUS));
    assert_eq!(stand_in.read_config(), before);
    let diary = stand_in.diary();
    assert!(diary.contains("hooks not added") && diary.contains("terok-hook"), "{diary}");
}

#[test]
fn a_container_that_requires_us_is_refused_with_the_reason_where_its_manager_looks() {
    let stand_in = StandIn::new();
    stand_in.write_annotated();
    stand_in.write_sidecar(&json!({"required": true}));
    fs::remove_file(stand_in.hook()).unwrap();
    let log = stand_in.path("log.json");
    let words = ["--log", log.to_str().unwrap(), "--log-format", "json", "create", "--bundle"];
    let output = stand_in.wrapper(&[&words[..], &[stand_in.bundle(), "web"]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stand_in.given(), None, "the real runtime was called");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("terok-hook") && said.contains("hint:"), "{said}");
    let line: Value = serde_json::from_str(&fs::read_to_string(log).unwrap()).unwrap();
    assert_eq!(line["level"], "error");
    assert_eq!(line["msg"], said.trim_end());
}

#[test]
fn a_mistake_in_the_settings_adds_nothing_and_names_its_line() {
    let stand_in = StandIn::new();
    let before = stand_in.write_annotated();
    let file = stand_in.path("programs/terok-runtime.conf");
    fs::write(&file, "real-runtime = runc\nonly_below = /srv\n").unwrap();
    assert_eq!(stand_in.create().status.code(), Some(STATUS));
    assert_eq!(stand_in.read_config(), before);
    assert!(stand_in.diary().contains("line 2: unknown key"), "{}", stand_in.diary());

    fs::write(&file, "only-below = /srv\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    stand_in.create();
    assert_eq!(stand_in.read_config(), before);
}

#[test]
fn a_sidecar_outside_the_administrators_root_adds_nothing_and_is_not_even_opened() {
    let stand_in = StandIn::new();
    let before = stand_in.write_annotated();
    // It would insist, if it were asked.
    stand_in.write_sidecar(&json!({"required": true}));
    let own = stand_in.path("own");
    fs::create_dir(&own).unwrap();
    let options = [
        format!("--terok-only-below={}", own.display()),
        format!("--terok-state-root={}", stand_in.path("programs").display()),
    ];
    let words = [&options[0], &options[1], "create", "--bundle", stand_in.bundle(), "web"];
    let output = stand_in.wrapper(&words);
    assert_eq!(output.status.code(), Some(STATUS));
    assert_eq!(stand_in.read_config(), before);
    assert_eq!(stand_in.diary(), "", "nothing is written where a stranger pointed");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("is not below"), "{said}");
    let diary = fs::read_to_string(stand_in.path("programs/logs/hook.log")).unwrap();
    assert_eq!(diary, said);
}

#[test]
fn a_real_runtime_that_is_missing_or_ourselves_is_named_with_a_way_out() {
    let stand_in = StandIn::new();
    let own = stand_in.path("programs/terok-runtime");
    for real in ["/no/such/runtime", "no-such-runtime", own.to_str().unwrap()] {
        let option = format!("--terok-real-runtime={real}");
        let output = stand_in.wrapper(&[&option, "state", "web"]);
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(real) && said.contains("hint: set real-runtime"), "{said}");
    }
}

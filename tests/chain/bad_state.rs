//! States on the hook's standard input that no sane runtime sends: the container starts, the diary
//! says what was wrong, and nothing is made anywhere.

use serde_json::{Value, json};
use terok_shared::annotation;
use terok_tests::container::Container;
use terok_tests::house::House;
use terok_tests::runtime::{self, HookRun, Runtime, Stage};

/// Runs createRuntime with this input; it must be refused with these words and leave no trace.
#[track_caller]
fn refused(web: &Container<'_>, state: &[u8], words: &[&str]) -> HookRun {
    let house = web.house();
    let run = web.hook_with(Runtime::Runc, Stage::CreateRuntime, state);
    let diary = house.diary();
    let line = diary.lines().last().unwrap_or_default();
    for word in words {
        assert!(line.contains(word), "{word:?} is not in {line:?}");
    }
    assert!(line.len() < 1000, "{line}");
    // The runtime hears the same.
    assert_eq!(run.said.lines().last().unwrap_or_default(), line);
    assert!(web.living().is_none() && house.processes().is_empty());
    assert!(!house.state_root().pids().exists());
    run
}

#[track_caller]
fn refused_but_starts(state: impl AsRef<[u8]>, words: &[&str]) {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let run = refused(&web, state.as_ref(), words);
    assert!(run.status.success(), "{run:?}");
}

/// The captured state with one member changed.
fn with(web: &Container<'_>, member: &str, value: Value) -> Vec<u8> {
    let mut state = runtime::state(web, Runtime::Crun, Stage::CreateRuntime);
    state[member] = value;
    state.to_string().into_bytes()
}

#[test]
fn garbage_is_refused() {
    refused_but_starts("}{ garbage \u{1b}[31m", &["OCI state", "not JSON"]);
}

#[test]
fn an_empty_state_is_refused() {
    refused_but_starts("", &["OCI state", "not JSON"]);
}

#[test]
fn a_huge_state_is_refused_and_not_kept() {
    let huge = format!(r#"{{"annotations":{{"x":"{}"}}}}"#, "x".repeat(2 * 1024 * 1024));
    refused_but_starts(huge, &["OCI state", "more than 1048576 bytes"]);
}

#[test]
fn a_deeply_nested_state_is_refused() {
    let deep = format!(r#"{{"annotations":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    refused_but_starts(deep, &["OCI state", "not JSON"]);
}

#[test]
fn a_state_that_is_no_object_is_refused() {
    refused_but_starts("[1, 2]", &["OCI state", "not a JSON object"]);
}

#[test]
fn an_annotation_that_is_not_a_string_is_named() {
    for (value, kind) in [
        (json!(7), "a number"),
        (json!({"a": 1}), "an object"),
        (json!(["/s/sidecar/x.json"]), "an array"),
        (json!(true), "a boolean"),
    ] {
        let house = House::new();
        let web = house.container(&house.sidecar("web"));
        let state = with(&web, "annotations", json!({ annotation::KEY: value }));
        let run = refused(&web, &state, &[annotation::KEY, kind]);
        assert!(run.status.success(), "{run:?}");
    }
}

#[test]
fn an_id_that_could_leave_its_directory_or_be_an_option_is_refused() {
    for (id, words) in [("../../etc/x", "'/'"), ("-rf", "'-'"), ("", "empty"), ("..", "'.'")] {
        let house = House::new();
        let web = house.container(&house.sidecar("web"));
        let run = refused(&web, &with(&web, "id", json!(id)), &["container id", words]);
        assert!(run.status.success(), "{run:?}");
        assert!(
            !house.path().join("etc").exists() && !house.state_root().path().join("etc").exists()
        );
    }
}

#[test]
fn a_state_without_a_living_process_is_refused() {
    for pid in [json!(0), json!(null)] {
        let house = House::new();
        let web = house.container(&house.sidecar("web"));
        let run = refused(&web, &with(&web, "pid", pid), &["no pid"]);
        assert!(run.status.success(), "{run:?}");
    }
}

#[test]
fn a_bad_id_or_pid_stops_a_container_that_requires_us() {
    for (member, value) in [("id", json!("../x")), ("pid", json!(0))] {
        let house = House::new();
        let web = house.container(&house.sidecar("web").with("required", true));
        let run = refused(&web, &with(&web, member, value), &["createRuntime"]);
        assert_eq!(run.status.code(), Some(1), "{run:?}");
    }
}

#[test]
fn poststop_outlives_bad_states_too() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let states = [b"".to_vec(), b"[]".to_vec(), with(&web, "id", json!("../../etc/x"))];
    for state in states {
        let run = web.hook_with(Runtime::Crun, Stage::Poststop, &state);
        assert!(run.status.success(), "{run:?}");
    }
    assert_eq!(house.diary().matches("poststop: ").count(), 3, "{}", house.diary());
}

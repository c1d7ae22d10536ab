//! An installation of the Python package terok-sandbox, with its own descriptors and list.

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

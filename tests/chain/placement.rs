//! Where a supervisor lives when a unit was asked for and none is to be had. A real service manager
//! is asked in `tests/runtimes`.

use std::os::unix::net::UnixStream;

use terok_shared::service::Service;
use terok_tests::house::House;
use terok_tests::runtime::{Runtime, Stage};
use terok_tests::tree;

/// A developer's own session has one.
fn a_manager_answers() -> bool {
    let uid = nix::unistd::geteuid();
    UnixStream::connect(format!("/run/user/{uid}/systemd/private")).is_ok()
}

#[test]
fn a_unit_that_cannot_be_had_is_a_daemon_and_the_diary_says_why() {
    if a_manager_answers() {
        return;
    }
    let house = House::new();
    // `required` is about being served, not about where from.
    let sidecar = house.sidecar("web").with("placement", "unit").with("required", true);
    let web = house.container(&sidecar);
    let tree = web.start_serving(&[Service::Broker]);
    let diary = house.diary();
    let reason = "a daemon in place of a unit: no user service manager answers";
    assert!(diary.contains(reason) && diary.contains("listening after"), "{diary}");
    assert_eq!(tree::session(tree.parent), Some(tree.parent.pid()));
    let left = std::fs::read_dir(house.runtime_dir()).unwrap().flatten();
    let names: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("hook")), "{names:?}");
}

#[test]
fn nothing_is_said_of_units_where_none_was_asked_for() {
    for placement in ["auto", "daemon"] {
        let house = House::new();
        let web = house.container(&house.sidecar("web").with("placement", placement));
        web.start();
        assert!(!house.diary().contains("unit"), "{}", house.diary());
    }
}

#[test]
fn a_placement_that_is_no_placement_is_refused_by_name() {
    let house = House::new();
    let web = house.container(&house.sidecar("web").with("placement", "moon"));
    assert!(web.hook(Runtime::Crun, Stage::CreateRuntime).status.success());
    let diary = house.diary();
    assert!(diary.contains("key `placement`") && diary.contains("`daemon` or `unit`"), "{diary}");
    assert!(web.living().is_none());
}

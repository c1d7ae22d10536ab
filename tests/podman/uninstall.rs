//! `terokctl uninstall` takes back what setup did, to the byte, and podman forgets the hooks.

use std::fs;

use crate::container::{Container, processes_naming, run_annotated};
use crate::mode::Mode;
use crate::operator::{self, succeeded};
use crate::uses;

#[test]
fn uninstall_leaves_containers_conf_as_it_was_and_containers_without_hooks() {
    let Some(operator) = operator::alone() else { return };
    // What the programs leave beside them when they run has to go as well.
    let container = Container::launch(&operator, "before-uninstall", Mode::Socket);
    uses::git_push(&container, 1);
    drop(container);

    let configured = fs::read_to_string(operator.containers_conf()).unwrap();
    assert_ne!(configured, operator.own_configuration());
    let programs = operator.state_root().programs();
    assert_eq!(processes_naming(programs.to_str().unwrap()), [""; 0], "of earlier tests");

    operator.terokctl_ok(&["uninstall"]);
    let left = fs::read_to_string(operator.containers_conf()).unwrap();
    assert_eq!(left, operator.own_configuration());
    assert!(!programs.exists());

    // A launch that was prepared before runs on, without services.
    let path = operator.state_root().sidecars().join("unhooked.json");
    let id = succeeded("podman run", run_annotated(&operator, "unhooked", path.to_str().unwrap()));
    let served = processes_naming(&id);
    operator.podman_ok(&["rm", "--force", "--time", "0", "unhooked"]);
    assert_eq!(served, [""; 0]);
    assert_eq!(operator.diary_of(&id), [""; 0]);

    operator.terokctl_ok(&["setup"]);
    assert_eq!(fs::read_to_string(operator.containers_conf()).unwrap(), configured);
}

//! A container whose supervisor was killed: found by `status` and `doctor`, served again after
//! `respawn` or `doctor --fix`, in the namespace it was served from before.

use crate::container::{Container, SMALL_IMAGE};
use crate::mode::{Mode, in_both_modes};
use crate::operator::{self, PROVIDER, SCOPE};
use crate::uses;

use terok_tests::eventually::eventually;
use terok_tests::tree::Tree;

#[track_caller]
fn kill(tree: Tree) {
    tree.parent.kill().unwrap();
    eventually("the services go with their supervisor", || tree.is_gone());
}

in_both_modes! {
    fn respawn_serves_a_running_container_again(operator, mode) {
        let container = Container::launch(operator, "respawned", mode);
        kill(container.tree());
        let told = operator.terokctl_ok(&["status", container.name()]);
        assert!(told.contains("unsupervised"), "{told}");
        let said = operator.terokctl_ok(&["respawn", container.name()]);
        assert!(said.contains("again"), "{said}");
        uses::everything(&container, &operator.public_keys());
        let tree = container.tree();
        container.remove();
        container.expect_gone(tree);
    }
}

#[test]
fn doctor_brings_a_supervisor_back() {
    let Some(operator) = operator::alone() else { return };
    let container = Container::launch(&operator, "doctored", Mode::Socket);
    kill(container.tree());
    let ill = operator.terokctl(&["doctor"]);
    let said = String::from_utf8_lossy(&ill.stdout);
    assert_eq!(ill.status.code(), Some(1), "{said}");
    assert!(said.contains("doctored-socket runs without its supervisor"), "{said}");
    let said = operator.terokctl_ok(&["doctor", "--fix"]);
    assert!(said.contains("serves doctored-socket again"), "{said}");
    uses::http(&container);
}

/// podman knows of the container although no file of ours does any more.
#[test]
fn doctor_asks_podman_where_the_pid_file_is_lost() {
    let Some(operator) = operator::alone() else { return };
    let container = Container::launch(&operator, "forgotten", Mode::Socket);
    kill(container.tree());
    std::fs::remove_dir_all(operator.state_root().pids()).unwrap();
    operator.terokctl_ok(&["doctor", "--fix"]);
    uses::http(&container);
}

/// Entering the container's network namespace takes a right that only its parent namespace gives.
#[test]
fn a_respawned_supervisor_is_back_on_the_containers_own_loopback() {
    let Some(operator) = operator::at_work() else { return };
    let name = "respawned-loopback";
    let launch = ["run", name, "--loopback", "--provider", PROVIDER, "--scope", SCOPE, "--"];
    let podman = ["--detach", "--init", "--pull=never", "--network=none", SMALL_IMAGE];
    let id = operator.terokctl_ok(&[&launch[..], &podman, &["sleep", "900"]].concat());
    let container = Container::known(&operator, name, id.lines().last().unwrap_or_default());
    let health = || {
        let wget = ["exec", name, "wget", "-q", "-O", "-", "http://127.0.0.1:9419/-/health"];
        operator.podman(&wget).stdout
    };
    assert_eq!(health(), br#"{"status":"ok"}"#);
    kill(container.tree());
    operator.terokctl_ok(&["respawn", name]);
    assert_eq!(health(), br#"{"status":"ok"}"#);
}

#[test]
fn nothing_is_broken_on_a_machine_that_was_just_set_up() {
    let Some(operator) = operator::alone() else { return };
    let said = operator.terokctl_ok(&["doctor"]);
    println!("{said}");
    assert!(!said.contains("BROKEN") && said.contains("podman reads"), "{said}");
}

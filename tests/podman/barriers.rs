//! The service processes of a real rootless container, seen by the operator: without privileges,
//! behind a system call filter, and closed to a process of the same user.

use std::fs;
use std::process::Command;

use serde_json::Value;
use terok_shared::process::Process;
use terok_shared::service::Service;
use terok_tests::eventually::{eventually, found};
use terok_tests::tree;

use crate::container::Container;
use crate::mode::in_both_modes;

in_both_modes! {
    fn services_run_without_privileges(operator, mode) {
        let container = Container::launch(operator, "barred", mode);
        for (service, process) in serving(&container) {
            for (field, expected) in [("NoNewPrivs", "1"), ("Seccomp", "2")] {
                assert_eq!(tree::status(process, field), expected, "{service} {field}");
            }
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                assert_eq!(tree::mask(process, set), 0, "{service} {set}");
            }
            assert_eq!(tree::limit(process, "Max core file size"), "0", "{service}");
        }
    }

    fn services_are_closed_to_processes_of_the_same_user_unless_allowed(operator, mode) {
        let container = Container::launch(operator, "closed", mode);
        for (service, process) in serving(&container) {
            assert!(!unprivileged_can_look_at(process), "{service}");
        }
        container.stop();
        allow_debugger(&container);
        container.start();
        for (service, process) in serving(&container) {
            assert!(unprivileged_can_look_at(process), "{service}");
        }
    }
}

/// Every service, once all of its barriers are up.
#[track_caller]
fn serving(container: &Container<'_>) -> Vec<(Service, Process)> {
    let tree = container.tree();
    let process = |service: Service| {
        let child = found("every service runs", || tree.child(service));
        // Its last barrier comes between what it opens and what it serves.
        eventually(&format!("{service} serves"), || tree::status(child, "Seccomp") == "2");
        (service, child)
    };
    Service::ALL.map(process).into()
}

fn allow_debugger(container: &Container<'_>) {
    let path = container.sidecar();
    let mut members: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    members["allow_debugger"] = true.into();
    fs::write(&path, members.to_string()).unwrap();
}

/// Whether root of the operator's namespace, without any capability there, can read the process's
/// environment. With capabilities it could look at anything of the operator's.
fn unprivileged_can_look_at(process: Process) -> bool {
    let environment = tree::file(process, "environ");
    let mut podman = Command::new("podman");
    podman.args(["unshare", "setpriv", "--bounding-set=-all", "--inh-caps=-all", "cat"]);
    podman.arg(environment).output().unwrap().status.success()
}

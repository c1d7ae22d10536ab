//! Every barrier of a service's life, seen on the real processes from outside.

use std::os::unix::fs::MetadataExt;

use terok_shared::process::Process;
use terok_shared::service::Service;
use terok_tests::container::Container;
use terok_tests::house::House;
use terok_tests::tree::{self, Tree};

fn serving(container: &Container<'_>) -> Vec<(Service, Process)> {
    let tree: Tree = container.start_serving(&Service::ALL);
    Service::ALL.map(|service| (service, tree.child(service).unwrap())).to_vec()
}

/// Whether others of the same user could trace it: only then are its files in /proc its user's
/// (proc(5)).
fn is_dumpable(process: Process) -> bool {
    tree::file(process, "environ").metadata().unwrap().uid() != 0
}

fn assert_barriers(service: Service, process: Process) {
    assert_eq!(tree::status(process, "NoNewPrivs"), "1", "{service}");
    // Filter mode (seccomp(2)).
    assert_eq!(tree::status(process, "Seccomp"), "2", "{service}");
    // One byte is too little for a core file and, other than none, stops the pipe too (core(5)).
    let core = tree::limit(process, "Max core file size");
    assert!(["0", "1"].contains(&core.as_str()), "{service}: {core}");
    for set in ["CapEff", "CapPrm", "CapInh", "CapAmb"] {
        assert_eq!(tree::mask(process, set), 0, "{service} {set}");
    }
}

#[test]
fn every_service_is_behind_every_barrier() {
    let house = House::new();
    let web = house.container(&house.sidecar("web").with_gate(&house));
    for (service, process) in serving(&web) {
        assert_barriers(service, process);
        // Only who holds CAP_SETPCAP can empty it, and only then it could matter.
        if nix::unistd::geteuid().is_root() {
            assert_eq!(tree::mask(process, "CapBnd"), 0, "{service}");
        }
    }
}

#[test]
fn nobody_of_the_same_user_can_look_into_a_service() {
    let house = House::unprivileged();
    let web = house.container(&house.sidecar("web").with_gate(&house));
    for (service, process) in serving(&web) {
        assert_barriers(service, process);
        assert!(!is_dumpable(process), "{service}");
    }
    assert!(!is_dumpable(web.living().unwrap().supervisor));
}

#[test]
fn allow_debugger_lifts_the_dump_flag_and_nothing_else() {
    let house = House::unprivileged();
    let sidecar = house.sidecar("web").with_gate(&house).with("allow_debugger", true);
    let web = house.container(&sidecar);
    for (service, process) in serving(&web) {
        assert_barriers(service, process);
        assert!(is_dumpable(process), "{service}");
    }
}

#[test]
fn the_services_run_as_the_operator() {
    let house = House::unprivileged();
    let web = house.container(&house.sidecar("web").with_gate(&house));
    let operator = house.operator().unwrap_or(nix::unistd::geteuid().as_raw()).to_string();
    for (service, process) in serving(&web) {
        let ids = tree::status(process, "Uid");
        assert!(ids.split_whitespace().all(|id| id == operator), "{service}: {ids}");
    }
}

#[test]
fn the_parent_has_one_thread_and_writes_no_core() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let tree = web.start();
    assert_eq!(tree::limit(tree.parent, "Max core file size"), "0");
    assert_eq!(tree::status(tree.parent, "Threads"), "1");
}

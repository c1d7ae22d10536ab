//! What a service gives up before it reads its slice.

use serde_json::{Value, json};
use terok_shared::process::Process;

use crate::start::{Start, THE_STARTED, deed, eventually, in_lane, mask, number};

const CAPABILITY_SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

fn capabilities(report: &Value) -> Vec<(&'static str, u64)> {
    let status = report["opened"].as_str().unwrap();
    CAPABILITY_SETS.iter().map(|set| (*set, mask(status, set))).collect()
}

#[test]
fn no_core_file_is_written_nor_piped() {
    let report = deed(json!("Report")).dirty().report();
    // One byte stops both ways (core(5)); a starter that allows none cannot be outdone.
    let allowed = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_CORE);
    let one = allowed.unwrap().1.min(1);
    assert_eq!(report["core_limit"], json!([one, one]));
}

#[test]
fn new_privileges_are_given_up_before_confinement() {
    let report = deed(json!("Report")).report();
    assert_eq!(number(report["opened"].as_str().unwrap(), "NoNewPrivs"), 1);
}

#[test]
fn every_capability_set_is_empty() {
    let report = deed(json!("Report")).dirty().report();
    // Without CAP_SETPCAP the bounding set stays, and with no_new_privs is of no use.
    let sets = if nix::unistd::geteuid().is_root() { 5 } else { 3 };
    let emptied: Vec<_> = CAPABILITY_SETS.iter().map(|set| (*set, 0)).collect();
    assert_eq!(capabilities(&report)[..sets], emptied[..sets]);
}

#[test]
fn every_capability_set_is_empty_in_a_user_namespace() {
    let report = in_user_namespace(deed(json!("Report"))).dirty().report();
    assert_eq!(capabilities(&report), CAPABILITY_SETS.map(|set| (set, 0)));
}

#[test]
fn all_else_holds_in_a_user_namespace_too() {
    let direct = deed(json!("Report")).dirty().report();
    let mapped = in_user_namespace(deed(json!("Report"))).dirty().report();
    for key in ["dumpable", "death_signal", "core_limit"] {
        assert_eq!(direct[key], mapped[key], "{key}");
    }
    let status = mapped["confined"].as_str().unwrap();
    assert_eq!((number(status, "NoNewPrivs"), number(status, "Seccomp")), (1, 2));
    assert_eq!(mask(status, "SigBlk"), 0);
}

#[test]
fn an_executed_program_regains_no_capability() {
    let lane = json!({ "execute": ["/usr", "/bin", "/lib", "/lib64"], "read": ["/proc"] });
    let look = json!({ "Execute": ["/bin/cat", "/proc/self/status"] });
    let outcome = in_user_namespace(in_lane(lane, look)).outcome();
    let status = outcome["Done"].as_str().unwrap();
    for set in CAPABILITY_SETS {
        assert_eq!(mask(status, set), 0, "{set}");
    }
}

#[test]
fn a_service_is_not_dumpable() {
    assert_eq!(deed(json!("Report")).report()["dumpable"], json!(false));
}

#[test]
fn allow_debugger_lifts_only_the_dump_flag() {
    let mut strict = deed(json!("Report")).dirty().report();
    let mut lenient = deed(json!("Report")).dirty().allow_debugger().report();
    assert_eq!(lenient["dumpable"], json!(true));
    for report in [&mut strict, &mut lenient] {
        report["dumpable"].take();
        for status in ["opened", "confined"] {
            report[status] = barriers_of(report[status].as_str().unwrap());
        }
        // Pipes have numbers of their own.
        report["descriptors"] = json!(report["descriptors"].as_array().unwrap().len());
    }
    assert_eq!(strict, lenient);

    let read = deed(json!({ "Read": "/etc/passwd" })).allow_debugger().outcome();
    assert_eq!(read, json!({ "Refused": "EACCES" }));
    let look = deed(json!("LookIntoMemory")).allow_debugger().outcome();
    assert_eq!(look, json!({ "Refused": "EPERM" }));
}

fn barriers_of(status: &str) -> Value {
    let fields = ["Sig", "Cap", "NoNewPrivs", "Seccomp", "Umask", "Uid", "Gid", "Groups"];
    let kept = status.lines().filter(|line| fields.iter().any(|field| line.starts_with(field)));
    // The number of queued signals is the user's, not the process's.
    kept.filter(|line| !line.starts_with("SigQ")).collect::<Vec<_>>().join("\n").into()
}

#[test]
fn a_service_dies_with_its_parent() {
    let waits = ["/bin/sh", "-c", "\"$@\"; exit", "sh"];
    let mut parent = deed(json!("Stay")).through(&waits).with_parent(THE_STARTED).start();
    let pid = parent.line()["Done"].as_str().unwrap().parse().unwrap();
    let service = Killed(Process::of(pid).unwrap());
    assert_ne!(pid, parent.pid(), "the shell became the service");
    parent.child.kill().unwrap();
    eventually("the service dies", || (!service.0.is_alive()).then_some(()));
}

#[test]
fn a_service_whose_parent_is_gone_does_not_serve() {
    let mut started = deed(json!("Report")).with_parent(1).start();
    assert!(!started.is_ready());
    let (status, log) = started.end();
    assert_eq!(status.code(), Some(4));
    assert!(log.contains("the supervisor ended before this service began"), "{log}");
}

/// A rootless look-alike: all capabilities, but only in a namespace of its own.
fn in_user_namespace(start: Start) -> Start {
    start.through(&["unshare", "--user", "--map-root-user"])
}

/// Ended with the test, whatever became of its parent.
struct Killed(Process);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

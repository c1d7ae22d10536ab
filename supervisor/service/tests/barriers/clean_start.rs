//! What a careless starter leaves behind is gone before a service reads its first byte.

use std::fs;

use serde_json::json;

use crate::start::{deed, in_lane, mask, number};

#[test]
fn stray_descriptors_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let stray = folder.path().join("stray");
    fs::write(&stray, "").unwrap();
    let report = deed(json!("Report")).with_strays(&stray).report();
    let open: Vec<&str> =
        report["descriptors"].as_array().unwrap().iter().filter_map(|path| path.as_str()).collect();
    assert!(open.len() >= 4, "the report misses the promised ones: {open:?}");
    assert!(!open.contains(&stray.to_str().unwrap()), "{open:?}");
}

#[test]
fn no_signal_stays_blocked() {
    let report = deed(json!("Report")).dirty().report();
    assert_eq!(mask(report["opened"].as_str().unwrap(), "SigBlk"), 0);
}

#[test]
fn no_signal_stays_ignored_but_the_broken_pipe() {
    let report = deed(json!("Report")).dirty().report();
    let bit = |signal: i32| 1_u64 << (signal - 1);
    // The C library lets nobody touch the two it keeps for its threads (nptl(7)).
    let ours = !(bit(32) | bit(33));
    let ignored = mask(report["opened"].as_str().unwrap(), "SigIgn") & ours;
    assert_eq!(ignored, bit(libc::SIGPIPE));
}

#[test]
fn new_files_are_the_owners_alone() {
    let report = deed(json!("Report")).dirty().report();
    assert_eq!(number(report["opened"].as_str().unwrap(), "Umask"), 77, "in octal digits");
}

#[test]
fn what_a_service_executes_inherits_no_descriptor() {
    let lane = json!({ "execute": ["/usr", "/bin", "/lib", "/lib64"], "read": ["/proc"] });
    let list = json!({ "Execute": ["/bin/ls", "/proc/self/fd"] });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let outcome = in_lane(lane, list).listening_on(listener).outcome();
    let open: Vec<&str> = outcome["Done"].as_str().unwrap().split_whitespace().collect();
    assert_eq!(open, ["0", "1", "2", "3"], "3 is the listed directory itself");
}

//! A service that cannot start says why, and nothing of what it was told.

use serde_json::json;

use crate::start::{Start, deed};

fn fails(start: Start, code: i32) -> String {
    let mut started = start.start();
    assert!(!started.is_ready());
    let (status, log) = started.end();
    assert_eq!(status.code(), Some(code), "{log}");
    log
}

#[test]
fn a_missing_listener_is_named_with_a_hint() {
    let without = ["/bin/sh", "-c", "exec 4<&-; exec \"$@\"", "sh"];
    let mut started = deed(json!({ "Serve": { "limit": 1 } })).through(&without).start();
    let (status, log) = started.end();
    assert_eq!(status.code(), Some(4));
    assert!(log.contains("no listening socket at descriptor 4"), "{log}");
    assert!(log.contains("\nhint: "), "{log}");
}

#[test]
fn a_bad_slice_is_refused_without_a_word_of_its_content() {
    for slice in [
        json!({ "deed": "terok-g-hunter2" }),
        json!({ "deed": { "terok-g-hunter2": 1 } }),
        json!({ "deed": "Report", "dial": "terok-g-hunter2" }),
        json!("terok-g-hunter2"),
    ] {
        let mut start = deed(json!("Report"));
        start.slice = slice;
        let log = fails(start, 2);
        assert!(log.contains("not a slice at line 1 column "), "{log}");
        assert!(!log.contains("hunter2"), "{log}");
    }
}

#[test]
fn an_oversized_slice_is_refused() {
    let mut start = deed(json!("Report"));
    start.slice["padding"] = "x".repeat(600 * 1024).into();
    fails(start, 2);
}

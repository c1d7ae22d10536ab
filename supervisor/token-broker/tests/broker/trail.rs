//! The audit's file under stress: several writers, a rotation, a disk that is full.

use std::fs::OpenOptions;
use std::os::unix::fs::symlink;

use crate::harness::{Broker, Upstream, eventually, routes_with};

const REQUESTS: usize = 100;

/// A broker that appends to this file.
fn writing_to(audit: &std::path::Path, upstream: &Upstream) -> Broker {
    let directory = tempfile::tempdir().unwrap();
    let routes = routes_with(&upstream.url(), "");
    std::fs::write(directory.path().join("routes.json"), routes).unwrap();
    symlink(audit, directory.path().join("audit.jsonl")).unwrap();
    Broker::start_in(directory)
}

#[test]
fn lines_of_many_writers_stay_whole() {
    let upstream = Upstream::plain();
    let place = tempfile::tempdir().unwrap();
    let audit = place.path().join("audit.jsonl");
    let brokers = [(); 3].map(|()| writing_to(&audit, &upstream));
    std::thread::scope(|scope| {
        for (n, broker) in brokers.iter().enumerate() {
            for m in 0..4 {
                scope.spawn(move || {
                    let mut client = broker.connect();
                    for _ in 0..REQUESTS {
                        assert_eq!(client.get(&format!("/{n}/{m}")).status, 200);
                    }
                });
            }
        }
    });
    // Each of them is parsed.
    assert_eq!(brokers[0].audit(3 * 4 * REQUESTS).len(), 3 * 4 * REQUESTS);
}

#[test]
fn a_file_that_is_emptied_goes_on_with_whole_lines() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    for n in 0..300 {
        assert_eq!(client.get(&format!("/{n}")).status, 200);
        if n % 50 == 0 {
            // As logrotate's `copytruncate` does.
            OpenOptions::new().write(true).truncate(true).open(broker.path("audit.jsonl")).unwrap();
        }
    }
    eventually("the last line", || {
        broker.audit(1).last().is_some_and(|line| line["path"] == "/299")
    });
    assert!(broker.audit(1).len() < 300);
}

#[test]
fn a_full_disk_costs_one_warning_and_no_request() {
    let upstream = Upstream::plain();
    // full(4): every write fails as on a disk without room.
    let broker = writing_to("/dev/full".as_ref(), &upstream);
    // It has no end for who reads it.
    std::fs::remove_file(broker.path("audit.jsonl")).unwrap();
    for _ in 0..20 {
        assert_eq!(broker.get("/").status, 200);
    }
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(broker.log().matches("write an audit line").count(), 1, "{}", broker.log());
}

//! A route's own rules: what is allowed, and how much of it.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use crate::harness::{Broker, TOKEN, Upstream, eventually, routes_with};

#[test]
fn what_no_rule_allows_is_403_and_in_the_audit() {
    let upstream = Upstream::plain();
    let rules = r#""allow": [{"methods": ["GET"], "paths": ["/v1/**"]}],"#;
    let broker = Broker::start(&routes_with(&upstream.url(), rules));
    assert_eq!(broker.get("/v1/models?x=/../admin").status, 200);
    for path in ["/admin", "/v1/../admin", "/v1/%2e%2e/admin", "//v1/x"] {
        let refused = broker.get(path);
        assert_eq!((refused.status, refused.text()), (403, "Not allowed by this route's rules"));
    }
    assert_eq!(broker.connect().request("POST", "/v1/x", &[], b"b").status, 403);
    upstream.request();
    assert!(upstream.saw_nothing());
    let line = &broker.audit(6)[1];
    assert_eq!((&line["outcome"], &line["provider"]), (&"not_allowed".into(), &"p".into()));
}

#[test]
fn too_many_requests_are_429_with_retry_after() {
    let upstream = Upstream::plain();
    let limit = r#""limit": {"requests_per_minute": 2},"#;
    let broker = Broker::start(&routes_with(&upstream.url(), limit));
    assert_eq!((broker.get("/").status, broker.get("/").status), (200, 200));
    let refused = broker.get("/");
    assert_eq!(refused.text(), "Limit of this route reached: requests_per_minute");
    assert_eq!(refused.status, 429);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(broker.audit(3)[2]["outcome"], "limited");
    // What was counted goes on counting when another part of the table changes.
    broker.replace("routes.json", &routes_with(&upstream.url(), &format!(r#"{limit} "x": 1,"#)));
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(broker.get("/").status, 429);
}

#[test]
fn so_many_at_a_time_and_no_more() {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let upstream = Upstream::doing(move |mut exchange| {
        exchange.record();
        wait.lock().unwrap().recv().unwrap();
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let limit = r#""limit": {"concurrent": 1},"#;
    let broker = Broker::start(&routes_with(&upstream.url(), limit));
    let mut first = broker.connect();
    first.write(format!("GET / HTTP/1.1\r\nHost: h\r\nX-Api-Key: {TOKEN}\r\n\r\n").as_bytes());
    upstream.request();
    assert_eq!(broker.get("/").status, 429);
    go.send(()).unwrap();
    assert_eq!(first.response("GET").status, 200);
    go.send(()).unwrap();
    eventually("room", || broker.get("/").status == 200);
}

#[test]
fn bytes_of_both_directions_count() {
    let body = "x".repeat(600);
    let upstream =
        Upstream::answering(&format!("HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n{body}"));
    let limit = r#""limit": {"bytes_per_minute": 1000},"#;
    let broker = Broker::start(&routes_with(&upstream.url(), limit));
    let mut client = broker.connect();
    assert_eq!(client.request("POST", "/", &[], &[b'y'; 500]).status, 200);
    eventually("the ceiling", || {
        let refused = client.get("/");
        refused.status == 429 && refused.text().ends_with("bytes_per_minute")
    });
}

#[test]
fn malformed_rules_leave_the_old_ones_in_force() {
    let upstream = Upstream::plain();
    let rules = r#""allow": [{"methods": ["GET"], "paths": ["/v1"]}],"#;
    let broker = Broker::start(&routes_with(&upstream.url(), rules));
    assert_eq!((broker.get("/v1").status, broker.get("/v2").status), (200, 403));
    for (malformed, named) in [
        (r#""allow": [{"methods": "GET"}],"#, "field `allow`, `entry 1 methods`"),
        (r#""limit": {"concurrent": -1},"#, "field `limit`, `concurrent`"),
    ] {
        broker.replace("routes.json", &routes_with(&upstream.url(), malformed));
        eventually("the refusal", || {
            broker.get("/v1");
            broker.log().contains(&format!("route `p`: {named}"))
        });
        assert_eq!((broker.get("/v1").status, broker.get("/v2").status), (200, 403));
    }
}

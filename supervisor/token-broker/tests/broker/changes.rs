//! Nothing is asked twice while nothing changed; every change counts at once.

use std::time::{Duration, Instant};

use crate::harness::{Broker, Scripted, TOKEN, Upstream, eventually, routes_with};
use vault_grant::Notice;

/// A change must be in force within this.
const SOON: Duration = Duration::from_millis(100);

fn status_within(broker: &Broker, expected: u16) {
    let changed = Instant::now();
    eventually("the change", || broker.get("/").status == expected);
    assert!(changed.elapsed() < SOON, "in force only after {:?}", changed.elapsed());
}

#[test]
fn the_keeper_is_asked_once_while_nothing_changes() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    for _ in 0..20 {
        assert_eq!(broker.get("/").status, 200);
    }
    assert_eq!(broker.keeper.asked(), 1);
    broker.keeper.notify(Notice::Changed);
    eventually("a new question", || broker.get("/").status == 200 && broker.keeper.asked() == 2);
}

#[test]
fn a_revoked_token_stops_working() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    assert_eq!(broker.get("/").status, 200);
    broker.keeper.forget(TOKEN);
    broker.keeper.notify(Notice::Changed);
    status_within(&broker, 401);
}

#[test]
fn a_changed_credential_is_sent_from_then_on() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    assert_eq!(broker.get("/").status, 200);
    upstream.request();
    broker.keeper.say(TOKEN, Scripted::Key { provider: "p", value: "renewed".into() });
    broker.keeper.notify(Notice::Changed);
    std::thread::sleep(SOON / 2);
    assert_eq!(broker.get("/").status, 200);
    assert_eq!(upstream.request().header("authorization"), Some("Bearer renewed"));
}

#[test]
fn a_changed_table_is_in_force_and_a_malformed_one_is_not() {
    let (one, two) = (
        Upstream::plain(),
        Upstream::answering("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"),
    );
    let broker = Broker::to(&one);
    assert_eq!(broker.get("/").status, 200);
    broker.replace("routes.json", &routes_with(&two.url(), ""));
    status_within(&broker, 201);
    broker.replace("routes.json", r#"{"p": {"upstream": "nope"}}"#);
    std::thread::sleep(SOON);
    for _ in 0..3 {
        assert_eq!(broker.get("/").status, 201);
    }
    let log = broker.log();
    assert_eq!(log.matches("route `p`: field `upstream`").count(), 1, "{log}");
    broker.replace("routes.json", "{}");
    status_within(&broker, 404);
}

#[test]
fn a_table_that_appears_later_is_read() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    std::fs::remove_file(broker.path("routes.json")).unwrap();
    std::thread::sleep(SOON);
    assert_eq!(broker.get("/").status, 200, "the table before stays in force");
    broker.replace("routes.json", "{}");
    status_within(&broker, 404);
}

#[test]
fn a_table_that_is_not_there_yet_is_an_empty_one() {
    let upstream = Upstream::plain();
    let broker = Broker::start_in(tempfile::tempdir().unwrap());
    assert_eq!(broker.get("/").text(), "No route for provider: p");
    broker.replace("routes.json", &routes_with(&upstream.url(), ""));
    status_within(&broker, 200);
}

#[test]
fn a_malformed_table_at_the_start_stops_the_service() {
    let (status, log) = Broker::failing(r#"{"p": {"upstream": 1}}"#);
    assert_eq!(status, Some(4));
    assert!(log.contains("route `p`: field `upstream`: expected a string"), "{log}");
}

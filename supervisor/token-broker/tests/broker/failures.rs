//! Upstreams that give no response: 502 with a class, and never an address.

use std::net::TcpListener;

use crate::harness::{Broker, Upstream, routes_with};

fn failure(url: &str) -> (Broker, String, String) {
    let broker = Broker::start(&routes_with(url, ""));
    let response = broker.get("/");
    assert_eq!(response.status, 502);
    let line = broker.audit(1).remove(0);
    assert_eq!(line["status"], 502);
    let outcome = line["outcome"].as_str().unwrap().to_owned();
    (broker, response.text().to_owned(), outcome)
}

#[test]
fn a_refused_connection_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (broker, said, outcome) = failure(&format!("http://{free}"));
    assert_eq!(said, "Upstream request failed: connection refused");
    assert_eq!(outcome, "upstream_error:connect");
    assert!(broker.log().contains("upstream of p"), "{}", broker.log());
}

#[test]
fn a_name_that_does_not_resolve_is_named() {
    let (_broker, said, outcome) = failure("http://no-such-host.invalid");
    assert_eq!(said, "Upstream request failed: name resolution");
    assert_eq!(outcome, "upstream_error:dns");
}

#[test]
fn a_name_of_the_hosts_file_resolves_in_the_lane() {
    let upstream = Upstream::plain();
    let url = upstream.url().replace("127.0.0.1", "localhost");
    let broker = Broker::start(&routes_with(&url, ""));
    assert_eq!(broker.get("/").status, 200);
}

#[test]
fn an_upstream_that_hangs_up_is_disconnected() {
    let upstream = Upstream::doing(|mut exchange| {
        exchange.record();
        exchange.stream.get_mut().shutdown(std::net::Shutdown::Both).unwrap();
    });
    let (_broker, said, outcome) = failure(&upstream.url());
    assert_eq!(
        (said.as_str(), outcome.as_str()),
        ("Upstream disconnected", "upstream_disconnected")
    );
}

#[test]
fn an_upstream_that_does_not_speak_http_is_a_bad_one() {
    let upstream = Upstream::answering("SSH-2.0-OpenSSH_9.2\r\n\r\n");
    let (_broker, said, outcome) = failure(&upstream.url());
    assert_eq!((said.as_str(), outcome.as_str()), ("Upstream request failed", "upstream_error"));
}

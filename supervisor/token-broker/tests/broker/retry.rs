//! A request that met a dying connection is sent once more, when that can do no harm.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::harness::{Broker, Upstream};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Answers the first request of every connection and closes on the second, its answer unsent.
fn dying(answered_on_first_only: bool) -> (Upstream, Arc<AtomicUsize>) {
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let upstream = Upstream::doing(move |mut exchange| {
        exchange.record_with_body();
        let n = count.fetch_add(1, Ordering::SeqCst);
        if n == 1 || (n == 0 && !answered_on_first_only) {
            exchange.stream.get_mut().shutdown(std::net::Shutdown::Both).unwrap();
        } else {
            exchange.write(OK);
        }
    });
    (upstream, served)
}

fn status_of_second(method: &str, headers: &[&str], body: &[u8]) -> (u16, usize) {
    let (upstream, served) = dying(true);
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    assert_eq!(client.get("/").status, 200);
    let status = client.request(method, "/", headers, body).status;
    if status == 200 && !body.is_empty() {
        upstream.request();
        assert_eq!(upstream.request().body, body);
        assert_eq!(upstream.request().body, body);
    }
    (status, served.load(Ordering::SeqCst))
}

#[test]
fn an_idempotent_request_that_died_on_a_used_connection_is_sent_once_more() {
    for (method, headers, body) in [
        ("GET", &[][..], &b""[..]),
        ("PUT", &[], b"content"),
        ("DELETE", &[], b""),
        ("POST", &["Idempotency-Key: 1"], b"content"),
    ] {
        assert_eq!(status_of_second(method, headers, body), (200, 3), "{method}");
    }
}

#[test]
fn a_request_with_an_effect_is_never_sent_twice() {
    for method in ["POST", "PATCH"] {
        assert_eq!(status_of_second(method, &[], b"content"), (502, 2), "{method}");
    }
}

#[test]
fn a_new_connection_that_dies_is_not_tried_again() {
    let (upstream, served) = dying(false);
    let broker = Broker::to(&upstream);
    assert_eq!(broker.get("/").status, 502);
    assert_eq!(served.load(Ordering::SeqCst), 1);
}

#[test]
fn a_connection_that_its_upstream_closed_meanwhile_is_not_used() {
    let upstream = Upstream::doing(|mut exchange| {
        exchange.record_with_body();
        exchange.write(OK);
        exchange.stream.get_mut().shutdown(std::net::Shutdown::Both).unwrap();
    });
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    for n in 0..3 {
        assert_eq!(client.request("POST", &format!("/{n}"), &[], b"effect").status, 200);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    for n in 0..3 {
        assert_eq!(upstream.request().target(), format!("/{n}"));
    }
    assert!(upstream.saw_nothing(), "none of them was sent twice");
}

#[test]
fn a_body_too_large_to_keep_is_not_sent_twice() {
    let (status, served) = status_of_second("PUT", &[], &vec![7; 2 * 1024 * 1024]);
    assert_eq!((status, served), (502, 2));
}

//! Clients that only hold connections keep nobody out.

use std::time::{Duration, Instant};

use crate::harness::{Broker, Client, TOKEN, Upstream, eventually};

#[test]
fn idle_and_slow_clients_leave_new_ones_served() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    assert_eq!(broker.get("/").status, 200);
    let before = broker.rss_kb();
    let mut idle: Vec<Client> = (0..500).map(|_| broker.connect()).collect();
    for client in &mut idle[..250] {
        assert_eq!(client.get("/").status, 200);
    }
    let mut slow: Vec<Client> = (0..200).map(|_| broker.connect()).collect();
    for (n, client) in slow.iter_mut().enumerate() {
        client.write(format!("GET / HTTP/1.1\r\nHost: h\r\nX-{n}: ").as_bytes());
    }
    let mut took: Vec<Duration> = (0..50)
        .map(|_| {
            for client in &mut slow {
                client.write_if_open(b"a");
            }
            let asked = Instant::now();
            assert_eq!(broker.get("/").status, 200);
            asked.elapsed()
        })
        .collect();
    took.sort();
    let (median, memory) = (took[took.len() / 2], broker.rss_kb());
    assert!(median < Duration::from_millis(50), "{median:?}");
    assert!(memory < 32 * 1024, "{before} kB grew to {memory} kB");
}

#[test]
fn a_busy_client_is_never_asked_to_leave() {
    let upstream = Upstream::doing(|mut exchange| {
        exchange.record();
        std::thread::sleep(Duration::from_secs(2));
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    let broker = Broker::to(&upstream);
    let mut busy = broker.connect();
    busy.write(format!("GET / HTTP/1.1\r\nHost: h\r\nX-Api-Key: {TOKEN}\r\n\r\n").as_bytes());
    upstream.request();
    let crowd: Vec<Client> = (0..600).map(|_| broker.connect()).collect();
    assert_eq!(busy.response("GET").text(), "ok");
    drop(crowd);
}

#[test]
fn what_a_burst_took_is_given_back() {
    let body = "x".repeat(1024 * 1024);
    let upstream = Upstream::answering(&format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let broker = Broker::to(&upstream);
    for _ in 0..2 {
        std::thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| assert_eq!(broker.get("/").status, 200));
            }
        });
        std::thread::sleep(Duration::from_millis(2500));
    }
    eventually("the memory", || broker.anonymous_kb() < 4 * 1024);
}

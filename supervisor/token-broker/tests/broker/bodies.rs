//! Bodies stream both ways: as they come, never held whole.

use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use crate::harness::{Broker, TOKEN, Upstream, eventually};

const HUNDRED_MB: usize = 100 * 1024 * 1024;
/// More than the process may hold while it passes that much on.
const BOUND_KB: u64 = 32 * 1024;

#[test]
fn a_hundred_megabytes_up_pass_through_little_memory() {
    let (counted, count) = channel();
    let counted = Mutex::new(counted);
    let upstream = Upstream::doing(move |mut exchange| {
        let length: u64 = exchange.head.header("content-length").unwrap().parse().unwrap();
        let read = std::io::copy(&mut exchange.stream.take(length), &mut std::io::sink());
        counted.lock().unwrap().send(read.unwrap()).unwrap();
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    client.write(
        format!(
            "POST /up HTTP/1.1\r\nHost: h\r\nX-Api-Key: {TOKEN}\r\nContent-Length: {HUNDRED_MB}\r\n\r\n"
        )
        .as_bytes(),
    );
    let piece = vec![7; 1024 * 1024];
    let mut most = 0;
    for _ in 0..HUNDRED_MB / piece.len() {
        client.write(&piece);
        most = most.max(broker.anonymous_kb());
    }
    assert_eq!(client.response("POST").status, 200);
    assert_eq!(count.recv_timeout(Duration::from_secs(10)).unwrap(), HUNDRED_MB as u64);
    assert!(most < BOUND_KB, "held {most} kB");
}

#[test]
fn a_hundred_megabytes_down_pass_through_little_memory() {
    let upstream = Upstream::doing(|mut exchange| {
        exchange
            .write(format!("HTTP/1.1 200 OK\r\nContent-Length: {HUNDRED_MB}\r\n\r\n").as_bytes());
        let piece = vec![7; 1024 * 1024];
        for _ in 0..HUNDRED_MB / piece.len() {
            exchange.write(&piece);
        }
    });
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    client.write(format!("GET /down HTTP/1.1\r\nHost: h\r\nX-Api-Key: {TOKEN}\r\n\r\n").as_bytes());
    assert_eq!(client.head().0, 200);
    // A reader that dawdles: what piles up must pile up with the upstream.
    std::thread::sleep(Duration::from_millis(300));
    let mut piece = vec![0; 1024 * 1024];
    let mut most = 0;
    for _ in 0..HUNDRED_MB / piece.len() {
        client.stream().read_exact(&mut piece).unwrap();
        most = most.max(broker.anonymous_kb());
    }
    assert!(most < BOUND_KB, "held {most} kB");
    assert_eq!(broker.audit(1)[0]["outcome"], "ok");
}

#[test]
fn a_server_sent_event_arrives_before_the_next_is_made() {
    let (go, going) = channel::<()>();
    let going = Mutex::new(going);
    let upstream = Upstream::doing(move |mut exchange| {
        exchange.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        );
        for event in 0..3 {
            exchange.write(format!("9\r\ndata: {event}\n\n\r\n").as_bytes());
            going.lock().unwrap().recv().unwrap();
        }
        exchange.write(b"0\r\n\r\n");
    });
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    client.write(format!("GET / HTTP/1.1\r\nHost: h\r\nX-Api-Key: {TOKEN}\r\n\r\n").as_bytes());
    assert_eq!(client.head().0, 200);
    for event in 0..3 {
        let asked = Instant::now();
        assert_eq!(client.chunk(), format!("data: {event}\n\n").as_bytes());
        assert!(asked.elapsed() < Duration::from_secs(2));
        go.send(()).unwrap();
    }
    assert!(client.chunk().is_empty());
}

#[test]
fn an_upload_in_chunks_goes_on_as_it_comes() {
    let (arrived, arriving) = channel();
    let arrived = Mutex::new(arrived);
    let upstream = Upstream::doing(move |mut exchange| {
        assert_eq!(exchange.head.headers("transfer-encoding"), ["chunked"]);
        assert!(exchange.head.header("content-length").is_none());
        while let Some(chunk) = exchange.chunk() {
            arrived.lock().unwrap().send(chunk).unwrap();
        }
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    });
    let broker = Broker::to(&upstream);
    for method in ["POST", "GET"] {
        let mut client = broker.connect();
        client.write(
            format!("{method} / HTTP/1.1\r\nHost: h\r\nX-Api-Key: {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n")
                .as_bytes(),
        );
        for piece in ["one", "two", "three"] {
            client.write(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes());
            assert_eq!(arriving.recv_timeout(Duration::from_secs(5)).unwrap(), piece.as_bytes());
        }
        client.write(b"0\r\n\r\n");
        assert_eq!(client.response(method).status, 200);
    }
}

#[test]
fn trailers_pass_both_ways() {
    let (seen, trailers) = channel();
    let seen = Mutex::new(seen);
    let upstream = Upstream::doing(move |mut exchange| {
        while exchange.chunk().is_some() {}
        let trailer = exchange.head.header("trailer-line").map(str::to_owned);
        seen.lock().unwrap().send(trailer).unwrap();
        exchange.write(
            b"HTTP/1.1 200 OK\r\nTrailer: x-sum\r\nTransfer-Encoding: chunked\r\n\r\n\
              2\r\nhi\r\n0\r\nx-sum: 42\r\n\r\n",
        );
    });
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    client.write(
        format!(
            "POST / HTTP/1.1\r\nHost: h\r\nX-Api-Key: {TOKEN}\r\nTE: trailers\r\n\
             Trailer: x-up\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-up: 7\r\n\r\n"
        )
        .as_bytes(),
    );
    assert_eq!(client.head().0, 200);
    assert_eq!(client.chunk(), b"hi");
    assert!(client.chunk().is_empty());
    assert_eq!(client.line(), "x-sum: 42");
    assert_eq!(trailers.recv().unwrap().as_deref(), Some("x-up: 7"));
}

#[test]
fn expect_is_answered_by_the_broker_and_stays_behind() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    client.write(
        format!(
            "POST / HTTP/1.1\r\nHost: h\r\nX-Api-Key: {TOKEN}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
        .as_bytes(),
    );
    assert_eq!(client.line(), "HTTP/1.1 100 Continue");
    assert_eq!(client.line(), "");
    client.write(b"body");
    assert_eq!(client.response("POST").status, 200);
    let request = upstream.request();
    assert_eq!(request.body, b"body");
    assert!(request.header("expect").is_none());
}

#[test]
fn a_refused_upload_is_not_asked_for() {
    let broker = Broker::start("{}");
    let mut client = broker.connect();
    client
        .write(b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(client.response("POST").status, 401);
}

#[test]
fn an_upload_that_reaches_no_upstream_is_not_asked_for() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let broker = Broker::start(&format!(r#"{{"p": {{"upstream": "http://127.0.0.1:{port}"}}}}"#));
    let mut client = broker.connect();
    client.write(
        format!(
            "POST / HTTP/1.1\r\nHost: h\r\nX-Api-Key: {TOKEN}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        )
        .as_bytes(),
    );
    assert_eq!(client.head().0, 502);
}

#[test]
fn a_client_that_goes_away_cancels_the_upstream() {
    let (closed, closing) = channel();
    let closed = Mutex::new(closed);
    let upstream = Upstream::doing(move |mut exchange| {
        exchange.record();
        if exchange.head.target() == "/begun" {
            exchange.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
        }
        let rest = exchange.stream.read(&mut [0; 16]);
        closed.lock().unwrap().send(rest.unwrap_or(0)).unwrap();
    });
    let broker = Broker::to(&upstream);
    for (target, status, outcome) in
        [("/silent", 499, "client_disconnected"), ("/begun", 200, "client_disconnected")]
    {
        let mut client = broker.connect();
        client.write(
            format!("GET {target} HTTP/1.1\r\nHost: h\r\nX-Api-Key: {TOKEN}\r\n\r\n").as_bytes(),
        );
        upstream.request();
        if status == 200 {
            assert_eq!(client.head().0, 200);
        }
        drop(client);
        assert_eq!(closing.recv_timeout(Duration::from_secs(5)).unwrap(), 0);
        eventually("the audit line", || {
            let lines = broker.audit(1);
            let last = lines.last().unwrap();
            last["path"] == target && last["status"] == status && last["outcome"] == outcome
        });
    }
}

#[test]
fn a_body_that_breaks_off_breaks_off_for_the_client_too() {
    let upstream = Upstream::doing(|mut exchange| {
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        exchange.stream.get_mut().flush().unwrap();
        exchange.stream.get_mut().shutdown(std::net::Shutdown::Both).unwrap();
    });
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    client.write(format!("GET / HTTP/1.1\r\nHost: h\r\nX-Api-Key: {TOKEN}\r\n\r\n").as_bytes());
    assert_eq!(client.head().0, 200);
    let mut body = Vec::new();
    client.stream().read_to_end(&mut body).unwrap();
    assert_eq!(body, b"half");
    let line = &broker.audit(1)[0];
    assert_eq!((&line["status"], &line["outcome"]), (&200.into(), &"upstream_disconnected".into()));
}

//! WebSocket: a tunnel after the upstream's own 101, bytes untouched.

use std::io::{Read, Write};

use crate::harness::{Broker, REAL, TOKEN, Upstream};

const ASK: &str = "GET /ws?x=%2F HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n\
                   Upgrade: websocket\r\nSec-WebSocket-Key: a2V5\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Protocol: chat, other\r\n\
                   Sec-WebSocket-Extensions: permessage-deflate\r\n";

fn ask() -> String {
    format!("{ASK}Authorization: Bearer {TOKEN}\r\n\r\n")
}

/// Switches, then returns everything it is sent, and closes after `bye`.
fn echo() -> Upstream {
    Upstream::doing(|mut exchange| {
        exchange.record();
        exchange.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Accept: dGVzdA==\r\nSec-WebSocket-Protocol: chat\r\n\r\nfirst",
        );
        let mut bytes = [0; 4096];
        loop {
            let read = exchange.stream.read(&mut bytes).unwrap_or(0);
            exchange.write(&bytes[..read]);
            if read == 0 || bytes[..read].ends_with(b"bye") {
                let _ = exchange.stream.get_mut().shutdown(std::net::Shutdown::Both);
                return;
            }
        }
    })
}

#[test]
fn bytes_pass_both_ways_after_the_upstreams_101() {
    let upstream = echo();
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    client.write(ask().as_bytes());
    let (status, headers) = client.head();
    assert_eq!(status, 101);
    for (name, value) in [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-accept", "dGVzdA=="),
        ("sec-websocket-protocol", "chat"),
    ] {
        assert!(headers.contains(&(name.into(), value.into())), "{name}: {headers:?}");
    }
    let request = upstream.request();
    assert_eq!(request.target(), "/ws?x=%2F");
    assert_eq!(request.header("authorization"), Some(&*format!("Bearer {REAL}")));
    assert_eq!(request.header("connection"), Some("upgrade"));
    assert_eq!(request.header("upgrade"), Some("websocket"));
    assert_eq!(request.header("sec-websocket-extensions"), Some("permessage-deflate"));
    assert_eq!(request.header("sec-websocket-protocol"), Some("chat, other"));
    let mut first = [0; 5];
    client.stream().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"first");
    for piece in [&[0, 255, 13, 10, 7][..], b"HTTP/1.1 200 OK\r\n\r\n", b"bye"] {
        client.stream().get_mut().write_all(piece).unwrap();
        let mut back = vec![0; piece.len()];
        client.stream().read_exact(&mut back).unwrap();
        assert_eq!(back, piece);
    }
    assert_eq!(client.stream().read(&mut [0]).unwrap(), 0);
    let lines = broker.audit(2);
    assert_eq!(
        (&lines[0]["status"], &lines[0]["outcome"]),
        (&101.into(), &"websocket_opened".into())
    );
    assert_eq!(lines[1]["outcome"], "websocket_closed");
    assert_eq!((&lines[1]["bytes_up"], &lines[1]["bytes_down"]), (&27.into(), &32.into()));
}

#[test]
fn a_silent_tunnels_upstream_is_asked_whether_it_lives() {
    let upstream = echo();
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    client.write(ask().as_bytes());
    assert_eq!(client.head().0, 101);
    let port = upstream.url().rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    // proc_net_tcp(5): established, to that port, and the timer is the one for keepalive.
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let kept = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|line| {
        line[2].ends_with(&format!(":{port:04X}")) && line[3] == "01" && line[5].starts_with("02:")
    });
    assert!(kept, "{table}");
}

#[test]
fn a_client_that_leaves_closes_the_upstream() {
    let upstream = echo();
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    client.write(ask().as_bytes());
    assert_eq!(client.head().0, 101);
    drop(client);
    assert_eq!(broker.audit(2)[1]["outcome"], "websocket_closed");
}

#[test]
fn a_refused_handshake_passes_back() {
    let upstream =
        Upstream::answering("HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nnope");
    let broker = Broker::to(&upstream);
    let response = broker.connect().raw(&ask());
    assert_eq!((response.status, response.text()), (401, "nope"));
}

#[test]
fn a_handshake_without_a_token_is_refused() {
    let upstream = echo();
    let broker = Broker::to(&upstream);
    assert_eq!(broker.connect().raw(&format!("{ASK}\r\n")).status, 401);
    assert!(upstream.saw_nothing());
}

#[test]
fn a_101_that_nobody_asked_for_is_no_answer() {
    let upstream = echo();
    let broker = Broker::to(&upstream);
    assert_eq!(broker.get("/").status, 502);
}

//! What an upstream says before its answer (1xx, RFC 9110 section 15.2).

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::harness::{Broker, Client, TOKEN, Upstream};

const HINTS: &[u8] =
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>\r\nKeep-Alive: x\r\n\
      Content-Length: 9\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn ask(more: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: h\r\nX-Api-Key: {TOKEN}\r\n{more}\r\n")
}

fn sees_hints(client: &mut Client) {
    let (status, headers) = client.head();
    assert_eq!(status, 103);
    let link = |value: &str| ("link".to_owned(), value.to_owned());
    assert_eq!(headers, [link("</a>; rel=preload"), link("</b>")]);
}

#[test]
fn early_hints_arrive_before_the_answer_is_made() {
    let (go, going) = channel::<()>();
    let going = Mutex::new(going);
    let upstream = Upstream::doing(move |mut exchange| {
        exchange.write(HINTS);
        going.lock().unwrap().recv().unwrap();
        exchange.write(OK);
    });
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    for _ in 0..3 {
        client.write(ask("").as_bytes());
        sees_hints(&mut client);
        go.send(()).unwrap();
        assert_eq!(client.response("GET").text(), "ok");
    }
}

#[test]
fn hints_in_one_piece_with_the_answer_stay_before_it() {
    let processing = b"HTTP/1.1 102 Processing\r\n\r\n";
    let said = [processing, processing, HINTS, OK].concat();
    let upstream = Upstream::doing(move |mut exchange| exchange.write(&said));
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    client.write(ask("").as_bytes());
    assert_eq!((client.head().0, client.head().0), (102, 102));
    sees_hints(&mut client);
    assert_eq!(client.response("GET").text(), "ok");
}

#[test]
fn hints_before_a_switch_of_protocols_pass() {
    let (go, going) = channel::<()>();
    let going = Mutex::new(going);
    let upstream = Upstream::doing(move |mut exchange| {
        exchange.write(HINTS);
        going.lock().unwrap().recv().unwrap();
        exchange.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        );
        std::thread::sleep(Duration::from_millis(20));
    });
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    client.write(ask("Connection: Upgrade\r\nUpgrade: websocket\r\n").as_bytes());
    sees_hints(&mut client);
    go.send(()).unwrap();
    assert_eq!(client.head().0, 101);
}

#[test]
fn hints_stay_out_of_the_response_before() {
    let body = "x".repeat(4 * 1024 * 1024);
    let large = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let upstream = Upstream::doing(move |mut exchange| match exchange.head.target() {
        "/large" => exchange.write(large.as_bytes()),
        _ => {
            exchange.write(HINTS);
            exchange.write(OK);
        }
    });
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    for pause in [0, 50, 300] {
        // Both at once, and a reader that dawdles.
        client.write(format!("{}{}", ask("").replace("/ ", "/large "), ask("")).as_bytes());
        std::thread::sleep(Duration::from_millis(pause));
        assert_eq!(client.response("GET").body.len(), 4 * 1024 * 1024);
        let mut answer = client.response("GET");
        if answer.status == 103 {
            answer = client.response("GET");
        }
        assert_eq!((answer.status, answer.text()), (200, "ok"));
    }
}

#[test]
fn nobody_hears_a_continue_that_the_broker_has_asked_for() {
    let said = [b"HTTP/1.1 100 Continue\r\n\r\n", OK].concat();
    let upstream = Upstream::doing(move |mut exchange| exchange.write(&said));
    let broker = Broker::to(&upstream);
    assert_eq!(broker.get("/").text(), "ok");
}

#[test]
fn a_client_of_http_1_0_hears_no_hints() {
    let upstream = Upstream::doing(|mut exchange| exchange.write(&[HINTS, OK].concat()));
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    client.write(ask("").replace("HTTP/1.1", "HTTP/1.0").as_bytes());
    assert!(client.line().contains(" 200 "));
}

//! Requests shaped to be read in two ways are refused or made unambiguous.

use crate::harness::{Broker, TOKEN, Upstream};

fn raw(broker: &Broker, request: &str) -> u16 {
    broker.connect().raw(&request.replace("AUTH", &format!("X-Api-Key: {TOKEN}"))).status
}

/// A claim for each shape that must get a 400 and reach nobody.
macro_rules! refused {
    ($($claim:ident: $request:expr;)+) => {$(
        #[test]
        fn $claim() {
            let upstream = Upstream::plain();
            let broker = Broker::to(&upstream);
            assert_eq!(raw(&broker, $request), 400);
            assert!(upstream.saw_nothing());
        }
    )+};
}

refused! {
    two_lengths_are_refused:
        "POST / HTTP/1.1\r\nHost: h\r\nAUTH\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc";
    a_list_of_lengths_is_refused:
        "POST / HTTP/1.1\r\nHost: h\r\nAUTH\r\nContent-Length: 3, 4\r\n\r\nabc";
    a_length_with_a_sign_is_refused:
        "POST / HTTP/1.1\r\nHost: h\r\nAUTH\r\nContent-Length: +3\r\n\r\nabc";
    a_coding_that_is_not_chunked_is_refused:
        "POST / HTTP/1.1\r\nHost: h\r\nAUTH\r\nTransfer-Encoding: gzip\r\n\r\nabc";
    chunked_that_is_not_the_last_coding_is_refused:
        "POST / HTTP/1.1\r\nHost: h\r\nAUTH\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n";
    a_coding_in_http_1_0_is_refused:
        "POST / HTTP/1.0\r\nHost: h\r\nAUTH\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    a_folded_header_is_refused:
        "GET / HTTP/1.1\r\nHost: h\r\nAUTH\r\nX-A: b\r\n folded: c\r\n\r\n";
    a_nul_in_a_header_is_refused:
        "GET / HTTP/1.1\r\nHost: h\r\nAUTH\r\nX-A: b\0c\r\n\r\n";
    a_nul_in_the_target_is_refused:
        "GET /a\0b HTTP/1.1\r\nHost: h\r\nAUTH\r\n\r\n";
    a_blank_before_the_colon_is_refused:
        "GET / HTTP/1.1\r\nHost: h\r\nAUTH\r\nX-A : b\r\n\r\n";
    a_blank_in_the_target_is_refused:
        "GET /a b HTTP/1.1\r\nHost: h\r\nAUTH\r\n\r\n";
    an_absolute_target_is_refused:
        "GET http://evil.example/x HTTP/1.1\r\nHost: h\r\nAUTH\r\n\r\n";
    a_target_with_a_user_is_refused:
        "GET http://user@evil.example/ HTTP/1.1\r\nHost: h\r\nAUTH\r\n\r\n";
    a_target_that_is_a_host_is_refused:
        "OPTIONS evil.example:443 HTTP/1.1\r\nHost: h\r\nAUTH\r\n\r\n";
    a_target_for_the_whole_server_is_refused:
        "OPTIONS * HTTP/1.1\r\nHost: h\r\nAUTH\r\n\r\n";
    a_connect_is_refused:
        "CONNECT evil.example:443 HTTP/1.1\r\nHost: h\r\nAUTH\r\n\r\n";
}

#[test]
fn a_path_that_reads_as_a_host_stays_a_path() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    for target in ["//evil.example/x", "//user@evil.example/x", "/\\\\evil.example/x"] {
        let status =
            raw(&broker, &format!("GET {target} HTTP/1.1\r\nHost: evil.example\r\nAUTH\r\n\r\n"));
        if status == 400 {
            continue;
        }
        let seen = upstream.request();
        assert_eq!((status, seen.target()), (200, target));
        let own = upstream.url();
        assert_eq!(seen.headers("host"), [own.trim_start_matches("http://")]);
    }
}

#[test]
fn a_chunked_body_with_a_length_goes_on_chunked_alone() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    for headers in [
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nAUTH\r\n{headers}\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
        );
        assert_eq!(raw(&broker, &request), 200);
        let seen = upstream.request();
        assert_eq!(seen.body, b"hello");
        assert!(seen.header("content-length").is_none());
    }
}

#[test]
fn a_bad_chunk_is_the_clients_fault() {
    let upstream = Upstream::doing(|mut exchange| {
        exchange.record();
        while exchange.chunk().is_some() {}
    });
    let broker = Broker::to(&upstream);
    let request =
        "POST / HTTP/1.1\r\nHost: h\r\nAUTH\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello";
    assert_eq!(raw(&broker, request), 400);
    assert_eq!(broker.audit(1)[0]["outcome"], "bad_request");
}

#[test]
fn an_endless_head_is_refused() {
    let broker = Broker::start("{}");
    let request = format!("GET / HTTP/1.1\r\nHost: h\r\nX-A: {}\r\n\r\n", "a".repeat(80 * 1024));
    let status = raw(&broker, &request);
    assert_eq!(status, 431);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    let one = format!("GET /1 HTTP/1.1\r\nHost: h\r\nX-Api-Key: {TOKEN}\r\n\r\n");
    client.write(format!("{one}{}", one.replace("/1 ", "/2 ")).as_bytes());
    assert_eq!(client.response("GET").status, 200);
    assert_eq!(client.response("GET").status, 200);
    assert_eq!(upstream.request().target(), "/1");
    assert_eq!(upstream.request().target(), "/2");
}

#[test]
fn a_connection_goes_on_after_a_refusal() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    let mut client = broker.connect();
    for _ in 0..3 {
        assert_eq!(client.raw("GET / HTTP/1.1\r\nHost: h\r\n\r\n").status, 401);
        assert_eq!(client.get("/").status, 200);
    }
}

#[test]
fn sigterm_ends_the_service_and_lets_a_request_finish() {
    let upstream = Upstream::doing(|mut exchange| {
        exchange.record();
        std::thread::sleep(std::time::Duration::from_millis(40));
        exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    });
    let mut broker = Broker::to(&upstream);
    let mut client = broker.connect();
    client.write(format!("GET / HTTP/1.1\r\nHost: h\r\nX-Api-Key: {TOKEN}\r\n\r\n").as_bytes());
    upstream.request();
    broker.terminate();
    assert_eq!(client.response("GET").text(), "hi");
    assert_eq!(broker.status(), Some(0));
}

//! Redirects: followed without the credential, and not to everywhere.

use crate::harness::{Broker, Upstream, routes_with};

fn redirecting(status: u16, location: &str) -> Upstream {
    Upstream::answering(&format!(
        "HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n"
    ))
}

/// A broker whose route may be redirected into the test's own network.
fn allowing(upstream: &Upstream) -> Broker {
    Broker::start(&routes_with(&upstream.url(), r#""private_redirects": true,"#))
}

#[test]
fn a_redirect_is_followed_without_the_credential() {
    let storage = Upstream::plain();
    for status in [301, 302, 303, 307, 308] {
        let upstream = redirecting(status, &format!("{}/blob%2Fx?sig=1", storage.url()));
        let broker = allowing(&upstream);
        let headers = ["Accept: a/b", "Accept-Encoding: zstd", "User-Agent: me", "X-Other: 1"];
        let response = broker.connect().request("GET", "/asset", &headers, b"");
        assert_eq!((response.status, response.text()), (200, "hello"));
        let request = storage.request();
        assert_eq!(request.target(), "/blob%2Fx?sig=1");
        let mut names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "accept-encoding", "host", "user-agent"]);
        let lines = broker.audit(1);
        assert_eq!((&lines[0]["path"], &lines[0]["status"]), (&"/asset".into(), &200.into()));
    }
}

#[test]
fn a_redirect_of_a_request_with_an_effect_is_passed_back() {
    let storage = Upstream::plain();
    let upstream = redirecting(307, &storage.url());
    let broker = allowing(&upstream);
    for method in ["POST", "PUT", "DELETE"] {
        let response = broker.connect().request(method, "/", &[], b"x");
        assert_eq!(response.status, 307);
        assert_eq!(response.header("location"), Some(&*storage.url()));
    }
    assert!(storage.saw_nothing());
}

#[test]
fn a_redirect_to_a_private_address_is_refused() {
    let secret = Upstream::plain();
    let by_name = secret.url().replace("127.0.0.1", "localhost");
    let by_number = secret.url().replace("127.0.0.1", "0x7f.1");
    let mapped = secret.url().replace("127.0.0.1", "[::ffff:127.0.0.1]");
    for location in [secret.url(), by_name, by_number, mapped, "http://169.254.169.254/x".into()] {
        let upstream = redirecting(302, &location);
        let broker = Broker::to(&upstream);
        let response = broker.get("/");
        assert_eq!((response.status, response.text()), (502, "Upstream redirect refused"));
        assert_eq!(broker.audit(1)[0]["outcome"], "redirect_refused");
    }
    assert!(secret.saw_nothing());
}

#[test]
fn a_redirect_within_the_upstream_is_followed_without_the_credential() {
    let upstream = Upstream::doing(|mut exchange| {
        exchange.record();
        match exchange.head.target() {
            "/a/old" => {
                exchange
                    .write(b"HTTP/1.1 301 Moved\r\nLocation: ../new\r\nContent-Length: 0\r\n\r\n");
            }
            _ => exchange.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        }
    });
    let broker = Broker::to(&upstream);
    assert_eq!(broker.get("/a/old").status, 200);
    assert!(upstream.request().header("authorization").is_some());
    let followed = upstream.request();
    assert_eq!(followed.target(), "/new");
    assert!(followed.header("authorization").is_none());
}

#[test]
fn a_loop_of_redirects_ends() {
    let upstream = redirecting(302, "/again");
    let broker = Broker::to(&upstream);
    let response = broker.get("/");
    assert_eq!((response.status, response.text()), (502, "Upstream redirect refused"));
    let hops = std::iter::from_fn(|| (!upstream.saw_nothing()).then_some(())).count();
    assert_eq!(hops, 11, "the first request and ten hops");
}

#[test]
fn a_location_that_is_no_url_is_the_clients_to_see() {
    let upstream = redirecting(302, "myapp://callback");
    let broker = Broker::to(&upstream);
    let response = broker.get("/");
    assert_eq!((response.status, response.header("location")), (302, Some("myapp://callback")));
}

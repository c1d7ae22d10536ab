//! What the upstream sees of a request, and the client of a response.

use crate::harness::{Broker, REAL, Scripted, TOKEN, Upstream, routes_with};

#[test]
fn paths_and_queries_arrive_byte_for_byte() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    let based = Broker::start(&routes_with(&format!("{}/base/", upstream.url()), ""));
    for target in [
        "/",
        "/api/v4/projects/group%2Fproject",
        "/%00/%ff/%2e%2E/../a//b/./",
        "//evil.example/x",
        "/x?a=%20&b=c/../d&&e",
        "/?",
        "/@user:pw/;a=b",
        "/http://evil.example/",
    ] {
        assert_eq!(broker.get(target).status, 200);
        assert_eq!(upstream.request().target(), target);
        assert_eq!(based.get(target).status, 200);
        assert_eq!(upstream.request().target(), format!("/base{target}"));
    }
}

#[test]
fn the_longest_path_prefix_chooses_the_upstream() {
    let (main, chat) = (Upstream::plain(), Upstream::plain());
    let below = format!(r#""path_upstreams": {{"/chat": "{}/v9"}},"#, chat.url());
    let broker = Broker::start(&routes_with(&main.url(), &below));
    broker.get("/chat/x");
    assert_eq!(chat.request().target(), "/v9/chat/x");
    broker.get("/chatty");
    assert_eq!(main.request().target(), "/chatty");
    assert!(chat.saw_nothing());
}

#[test]
fn headers_of_the_connection_stay_behind_and_the_rest_goes_on() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    let headers = [
        "Connection: close, X-Private",
        "X-Private: 1",
        "Keep-Alive: 5",
        "Proxy-Authorization: Basic eA==",
        "TE: trailers",
        "X-Api-Key: mine",
        "Private-Token: mine",
        "X-Twice: 1",
        "X-Twice: 2",
        "Accept-Encoding: zstd",
    ];
    assert_eq!(broker.connect().request("GET", "/", &headers, b"").status, 200);
    let request = upstream.request();
    let authority = upstream.url();
    let authority = authority.strip_prefix("http://").unwrap();
    let mut names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept-encoding", "authorization", "host", "x-twice", "x-twice"]);
    assert_eq!(request.headers("host"), [authority]);
    assert_eq!(request.headers("x-twice"), ["1", "2"]);
}

#[test]
fn oauth_credentials_bring_the_routes_headers() {
    let upstream = Upstream::plain();
    let oauth = r#""auth_header": "x-api-key",
        "oauth_extra_headers": {"anthropic-beta": "oauth-1"},
        "oauth_credential_headers": {"ChatGPT-Account-Id": "account_id"},"#;
    let broker = Broker::start(&routes_with(&upstream.url(), oauth));
    let members = vec![("account_id".into(), "acc-1".into())];
    broker.keeper.say(TOKEN, Scripted::OAuth { provider: "p", value: REAL.into(), members });
    broker.connect().request("POST", "/", &["anthropic-beta: tools, oauth-1"], b"x");
    let request = upstream.request();
    assert_eq!(request.headers("anthropic-beta"), ["tools, oauth-1"]);
    broker.connect().request("POST", "/", &["anthropic-beta: tools"], b"x");
    let request = upstream.request();
    assert_eq!(request.headers("anthropic-beta"), ["tools,oauth-1"]);
    assert_eq!(request.headers("authorization"), [format!("Bearer {REAL}")]);
    assert_eq!(request.headers("chatgpt-account-id"), ["acc-1"]);
    assert!(request.header("x-api-key").is_none());
}

#[test]
fn a_response_passes_unchanged_but_for_headers_of_the_connection() {
    let body = "\u{1f}not really gzip";
    let upstream = Upstream::answering(&format!(
        "HTTP/1.1 418 Short And Stout\r\nContent-Encoding: gzip\r\nSet-Cookie: a=1\r\n\
         Set-Cookie: b=2\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
         Location: /elsewhere\r\nETag: \"e\"\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let broker = Broker::to(&upstream);
    let response = broker.get("/");
    assert_eq!(response.status, 418);
    assert_eq!(response.text(), body);
    assert_eq!(response.headers("set-cookie"), ["a=1", "b=2"]);
    let mut names: Vec<&str> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["content-encoding", "content-length", "etag", "location", "set-cookie"]);
}

#[test]
fn responses_without_a_body_keep_the_connection() {
    for (method, head, length, expected) in [
        ("HEAD", "HTTP/1.1 200 OK", "Content-Length: 1234\r\n", Some("1234")),
        // Optional there (RFC 9110 section 15.4.5), and left out by the HTTP library.
        ("GET", "HTTP/1.1 304 Not Modified", "Content-Length: 1234\r\n", None),
        ("GET", "HTTP/1.1 204 No Content", "", None),
    ] {
        let upstream = Upstream::answering(&format!("{head}\r\nETag: \"e\"\r\n{length}\r\n"));
        let broker = Broker::to(&upstream);
        let mut client = broker.connect();
        for _ in 0..2 {
            let response = client.request(method, "/", &[], b"");
            assert_eq!(response.header("content-length"), expected, "{method} {head}");
            assert_eq!(response.header("etag"), Some("\"e\""));
        }
        for line in broker.audit(2) {
            assert_eq!(line["outcome"], "ok");
        }
    }
}

#[test]
fn an_audit_line_says_who_what_and_outcome() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    broker.connect().request("PATCH", "/a%2Fb?key=value", &[], b"body");
    let text = broker.audit(1).remove(0);
    let keys: Vec<&String> = text.as_object().unwrap().keys().collect();
    let mut expected = [
        "ts",
        "scope",
        "subject",
        "credential_set",
        "provider",
        "method",
        "path",
        "status",
        "outcome",
        "duration_ms",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    for (key, value) in [
        ("scope", "scope-1"),
        ("subject", "web"),
        ("credential_set", "default"),
        ("provider", "p"),
        ("method", "PATCH"),
        ("path", "/a%2Fb"),
        ("outcome", "ok"),
    ] {
        assert_eq!(text[key], value);
    }
    assert_eq!(text["status"], 200);
}

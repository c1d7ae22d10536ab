//! The header rules, case by case.

use std::path::Path;

use super::*;
use terok_shared::routes::RouteTable;
use terok_shared::secret::Secret;
use vault_grant::Member;

fn key(value: &str) -> Credential {
    let value = Secret::from(value.to_owned());
    Credential { kind: CredentialKind::Key, value, members: Vec::new() }
}

fn oauth(value: &str) -> Credential {
    let member = |text: &str| Member(Secret::from(text.to_owned()));
    Credential {
        kind: CredentialKind::OAuth,
        members: vec![("account_id".into(), member("acc-1")), ("empty".into(), member(""))],
        ..key(value)
    }
}

/// The headers of a request after injection, as `name: value` lines.
fn injected(route: &str, credential: &Credential, request: &[(&str, &str)]) -> Vec<String> {
    let json = format!(r#"{{"p": {{"upstream": "https://h", {route} "end": 0}}}}"#);
    let table = RouteTable::parse(Path::new("/r.json"), json.as_bytes()).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in request {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    Injection::new(table.get("p").unwrap(), credential).unwrap().apply(&mut headers);
    let mut lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    lines.sort();
    lines
}

#[test]
fn a_key_goes_where_the_route_says() {
    for (route, line) in [
        ("", "authorization: Bearer real"),
        (r#""auth_prefix": "token ","#, "authorization: token real"),
        (r#""auth_header": "PRIVATE-TOKEN", "auth_prefix": "","#, "private-token: real"),
        (r#""auth_header": "dynamic","#, "x-api-key: real"),
    ] {
        assert_eq!(injected(route, &key("real"), &[]), [line]);
    }
}

#[test]
fn oauth_is_a_bearer_whatever_the_route_says() {
    for route in ["", r#""auth_header": "dynamic","#, r#""auth_header": "x-api-key","#] {
        assert_eq!(injected(route, &oauth("real"), &[]), ["authorization: Bearer real"]);
    }
}

#[test]
fn none_of_the_three_token_headers_goes_on() {
    let request = [("authorization", "Bearer p"), ("x-api-key", "p"), ("private-token", "p")];
    assert_eq!(injected("", &key("real"), &request), ["authorization: Bearer real"]);
    let dynamic = r#""auth_header": "dynamic","#;
    assert_eq!(injected(dynamic, &key("real"), &request), ["x-api-key: real"]);
}

#[test]
fn host_expect_and_headers_of_the_connection_stay_behind() {
    let request = [
        ("host", "localhost:9419"),
        ("expect", "100-continue"),
        ("connection", "close, X-Mine"),
        ("connection", "x-other"),
        ("x-mine", "1"),
        ("x-other", "2"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic eA=="),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("x-kept", "3"),
    ];
    assert_eq!(injected("", &key("real"), &request), ["authorization: Bearer real", "x-kept: 3"]);
}

#[test]
fn connection_cannot_name_the_credential_away() {
    let request = [("connection", "authorization, x-api-key")];
    assert_eq!(injected("", &key("real"), &request), ["authorization: Bearer real"]);
}

#[test]
fn extra_headers_join_the_requests_list_without_duplicates() {
    const ROUTE: &str = r#""oauth_extra_headers": {"anthropic-beta": "oauth-1"},"#;
    for (request, list) in [
        (&[][..], "oauth-1"),
        (&[("anthropic-beta", "a, b")], "a,b,oauth-1"),
        (&[("anthropic-beta", "a"), ("anthropic-beta", "b")], "a,b,oauth-1"),
        (&[("anthropic-beta", "oauth-1, b")], "oauth-1, b"),
        (&[("anthropic-beta", "")], "oauth-1"),
    ] {
        let expected = ["anthropic-beta: ".to_owned() + list, "authorization: Bearer real".into()];
        assert_eq!(injected(ROUTE, &oauth("real"), request), expected);
    }
    assert_eq!(injected(ROUTE, &key("real"), &[]), ["authorization: Bearer real"]);
}

#[test]
fn credential_headers_are_set_from_members_that_have_a_value() {
    const ROUTE: &str = r#""oauth_credential_headers":
        {"ChatGPT-Account-Id": "account_id", "x-empty": "empty", "x-none": "none"},"#;
    assert_eq!(
        injected(ROUTE, &oauth("real"), &[("chatgpt-account-id", "forged")]),
        ["authorization: Bearer real", "chatgpt-account-id: acc-1"]
    );
    assert_eq!(injected(ROUTE, &key("real"), &[]), ["authorization: Bearer real"]);
}

#[test]
fn repeated_headers_survive() {
    let request = [("x-a", "1"), ("cookie", "c=1"), ("x-a", "2")];
    assert_eq!(
        injected("", &key("real"), &request),
        ["authorization: Bearer real", "cookie: c=1", "x-a: 1", "x-a: 2"]
    );
}

#[test]
fn a_credential_with_a_line_break_is_unusable() {
    let json = br#"{"p": {"upstream": "https://h"}}"#;
    let table = RouteTable::parse(Path::new("/r.json"), json).unwrap();
    let rules = table.get("p").unwrap();
    assert_eq!(Injection::new(rules, &key("a\r\nx: y")).err(), Some(Unusable));
    let value = secret_value("Bearer ", "real").unwrap();
    assert!(!format!("{value:?}").contains("real"));
}

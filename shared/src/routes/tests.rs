//! What a table may say, and what each refusal names.

use super::*;

fn parse(json: &str) -> Result<RouteTable, RoutesError> {
    RouteTable::parse(Path::new("/v/routes.json"), json.as_bytes())
}

fn refusal(json: &str) -> String {
    parse(json).unwrap_err().to_string()
}

#[test]
fn a_route_of_one_field_gets_the_defaults() {
    let table = parse(r#"{"github": {"upstream": "https://api.github.com"}}"#).unwrap();
    let route = table.get("github").unwrap();
    assert_eq!(route.auth, Auth::Header { name: "Authorization".into(), prefix: "Bearer ".into() });
    assert!(route.path_upstreams.is_empty());
    assert!(route.oauth_refresh.is_none());
    assert!(table.get("gitlab").is_none());
}

#[test]
fn every_field_is_read_and_unknown_ones_are_ignored() {
    let table = parse(
        r#"{"openai": {
            "upstream": "https://api.openai.com", "auth_header": "dynamic", "future": [1],
            "path_upstreams": {"/a": "https://one.example", "/a/long": "https://two.example/x"},
            "oauth_extra_headers": {"anthropic-beta": "oauth-2025-04-20"},
            "oauth_credential_headers": {"ChatGPT-Account-Id": "account_id"},
            "oauth_refresh": {"token_url": "https://auth.example/token?a=b", "client_id": "app",
                              "client_secret": "hush"},
            "ca_file": "/etc/ssl/own.pem", "private_redirects": true}}"#,
    )
    .unwrap();
    let route = table.get("openai").unwrap();
    assert_eq!(route.auth, Auth::Dynamic);
    let prefixes: Vec<&str> = route.path_upstreams.iter().map(|(p, _)| p.as_str()).collect();
    assert_eq!(prefixes, ["/a/long", "/a"]);
    assert_eq!(route.oauth_extra_headers[0].1, "oauth-2025-04-20");
    assert_eq!(route.oauth_credential_headers[0].1, "account_id");
    assert_eq!(route.oauth_refresh.as_ref().unwrap().client_id, "app");
    assert_eq!(route.ca_file.as_deref(), Some(Path::new("/etc/ssl/own.pem")));
    assert!(route.private_redirects);
    assert!(!format!("{table:?}").contains("hush"));
}

#[test]
fn each_refusal_names_file_route_and_field() {
    for (field, json) in [
        ("`upstream`: is missing", "{}"),
        ("`upstream`: expected a string, found a number", r#"{"upstream": 1}"#),
        ("`upstream`: must not carry", r#"{"upstream": "https://u@h"}"#),
        ("`auth_header`", r#"{"upstream": "https://h", "auth_header": "a b"}"#),
        ("`auth_header`", r#"{"upstream": "https://h", "auth_header": "Host"}"#),
        ("`auth_prefix`", r#"{"upstream": "https://h", "auth_prefix": "a\r\n"}"#),
        (
            "`path_upstreams`, `a`",
            r#"{"upstream": "https://h", "path_upstreams": {"a": "https://h"}}"#,
        ),
        (
            "`path_upstreams`, `/a`",
            r#"{"upstream": "https://h", "path_upstreams": {"/a": "nope"}}"#,
        ),
        (
            "`path_upstreams`: expected an object",
            r#"{"upstream": "https://h", "path_upstreams": []}"#,
        ),
        (
            "`oauth_extra_headers`, `x`",
            r#"{"upstream": "https://h", "oauth_extra_headers": {"x": 1}}"#,
        ),
        (
            "`oauth_extra_headers`, `x`",
            r#"{"upstream": "https://h", "oauth_extra_headers": {"x": "\n"}}"#,
        ),
        (
            "`oauth_credential_headers`",
            r#"{"upstream": "https://h", "oauth_credential_headers": {"": "a"}}"#,
        ),
        (
            "`oauth_refresh`, `client_id`",
            r#"{"upstream": "https://h", "oauth_refresh": {"token_url": "https://h"}}"#,
        ),
        (
            "`oauth_refresh`, `token_url`",
            r#"{"upstream": "https://h", "oauth_refresh": {"token_url": "x", "client_id": "a"}}"#,
        ),
        ("`ca_file`", r#"{"upstream": "https://h", "ca_file": "own.pem"}"#),
        ("`private_redirects`", r#"{"upstream": "https://h", "private_redirects": 1}"#),
    ] {
        let said = refusal(&format!(r#"{{"p": {json}}}"#));
        assert!(said.starts_with("routes /v/routes.json: route `p`: field "), "{said}");
        assert!(said.contains(field), "{said}");
    }
}

#[test]
fn what_is_no_table_is_refused() {
    assert_eq!(refusal("[]"), "routes /v/routes.json: expected an object, found an array");
    assert_eq!(refusal("{"), "routes /v/routes.json: not JSON at line 1 column 1");
    assert!(refusal(r#"{"p": "https://h"}"#).ends_with("`p`: expected an object, found a string"));
    let huge = " ".repeat(MAX_BYTES + 1);
    assert!(refusal(&huge).contains("at most 1048576"));
}

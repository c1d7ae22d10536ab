//! The JSON Schemas beside the parsers they describe: both know the same keys, and both take and
//! refuse the same files.

#![allow(clippy::unwrap_used, reason = "helpers of tests are outside the functions clippy exempts")]

mod pattern;

mod validator;

mod sidecar;

mod routes;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

/// `schema/<name>.json` of this repository.
fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schema").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn fixture(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name);
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What anybody may have written in a key's place.
fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(1),
        json!(-1),
        json!(1.5),
        json!(65535),
        json!(65536),
        json!(86401),
        json!(1_000_000_000_001u64),
        json!(""),
        json!("x"),
        json!("relative/path"),
        json!("/absolute"),
        json!("/nul\u{0}"),
        json!(".."),
        json!("a\nb"),
        json!("ä"),
        json!("socket"),
        json!("tcp"),
        json!("on-demand"),
        json!("unit"),
        json!("X-Api-Key"),
        json!("X Api"),
        json!("https://api.example.com/v1"),
        json!("ftp://api.example.com"),
        json!("https://user@api.example.com"),
        json!("https://api.example.com?q"),
        json!([]),
        json!(["x"]),
        json!({}),
        json!({ "x": "y" }),
        json!({ "x": 1 }),
        json!({ "X-A": "" }),
        json!({ "vault": 9419 }),
        json!({ "vault": null, "gate": 9418 }),
        json!({ "vault": "9419" }),
        json!({ "vault": null }),
        json!({ "/v1": "https://other.example.com" }),
        json!({ "/v1": 1 }),
        json!({ "v1": "https://other.example.com" }),
        json!({ "requests_per_minute": 60 }),
        json!({ "requests_per_minute": 0 }),
        json!({ "per_minute": 60 }),
        json!({ "token_url": "https://x.example.com/t", "client_id": "c" }),
        json!({ "token_url": "https://x.example.com/t" }),
        json!({ "token_url": "https://x.example.com/t", "client_id": "c", "scope": 7 }),
        json!([{}]),
        json!([{ "methods": ["GET"], "paths": ["/v1/*"] }]),
        json!([{ "methods": ["get"] }]),
        json!([{ "paths": ["v1"] }]),
        json!([{ "paths": ["/v1?x"] }]),
        json!([{ "path": ["/v1"] }]),
        json!(vec![json!({}); 257]),
    ]
}

/// Strings that calls of these functions have as their first argument in a parser's source: the
/// keys it looks up.
fn looked_up(source: &str, calls: &[&str]) -> Vec<String> {
    let mut keys: Vec<String> = calls
        .iter()
        .flat_map(|call| source.match_indices(call).map(move |(at, _)| &source[at + call.len()..]))
        .filter_map(|rest| Some(rest.strip_prefix('"')?.split_once('"')?.0.to_owned()))
        .collect();
    keys.sort();
    keys.dedup();
    keys
}

fn keys_of(object: &Value) -> Vec<String> {
    let mut keys: Vec<String> = object.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

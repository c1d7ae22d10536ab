//! `schema/routes.json` and the route table's parser.

use std::path::Path;

use serde_json::{Value, json};
use terok_shared::routes::RouteTable;

use crate::validator::accepts;
use crate::{fixture, keys_of, looked_up, schema, values};

const CALLS: [&str; 7] = [
    ".string(",
    "self.boolean(",
    "self.strings(",
    "self.headers(",
    "const FIELD: &str = ",
    "const ALLOW: &str = ",
    "const LIMIT: &str = ",
];

fn parses(table: &Value) -> bool {
    RouteTable::parse(Path::new("routes.json"), table.to_string().as_bytes()).is_ok()
}

fn full() -> Value {
    json!({ "p": {
        "upstream": "https://api.example.com/v1",
        "auth_header": "x-api-key",
        "auth_prefix": "",
        "path_upstreams": { "/chat": "http://[::1]:8080" },
        "oauth_extra_headers": { "anthropic-beta": "oauth-2025-04-20" },
        "oauth_credential_headers": { "x-account": "account_id" },
        "oauth_refresh": {
            "token_url": "https://auth.example.com/token?x=1",
            "client_id": "c",
            "scope": "a b",
            "client_secret": "s"
        },
        "ca_file": "/etc/ca.pem",
        "private_redirects": true,
        "allow": [{ "methods": ["GET"], "paths": ["/v1/*", "/a@b/(c)"] }],
        "limit": { "requests_per_minute": 60, "concurrent": 2, "bytes_per_minute": 1000 },
    } })
}

fn properties() -> Value {
    schema("routes.json")["$defs"]["route"]["properties"].clone()
}

#[test]
fn the_schema_names_every_field_the_parser_reads_and_no_other() {
    let mut read = looked_up(include_str!("../../src/routes.rs"), &CALLS);
    read.extend(looked_up(include_str!("../../src/routes/rules.rs"), &CALLS));
    read.sort();
    assert_eq!(read, keys_of(&properties()));
    assert_eq!(keys_of(&full()["p"]), keys_of(&properties()));
    let refresh = looked_up(include_str!("../../src/routes.rs"), &[" string("]);
    assert_eq!(refresh, keys_of(&properties()["oauth_refresh"]["properties"]));
    for inner in ["limit", "oauth_refresh"] {
        assert_eq!(keys_of(&full()["p"][inner]), keys_of(&properties()[inner]["properties"]));
    }
}

#[test]
fn tables_of_both_writers_are_valid() {
    let schema = schema("routes.json");
    for table in [fixture("vault/routes.json"), full(), json!({})] {
        assert!(accepts(&schema, &table) && parses(&table), "{table}");
    }
}

#[test]
fn schema_and_parser_take_and_refuse_the_same_tables() {
    let schema = schema("routes.json");
    let (mut taken, mut refused) = (0, 0);
    for base in [json!({ "p": { "upstream": "https://x.example.com" } }), full()] {
        for field in keys_of(&properties()) {
            for value in values() {
                let mut table = base.clone();
                table["p"][&field] = value;
                let parses = parses(&table);
                assert_eq!(accepts(&schema, &table), parses, "{field}: {}", table["p"][&field]);
                if parses { taken += 1 } else { refused += 1 }
            }
            let mut without = base.clone();
            without["p"].as_object_mut().unwrap().remove(&field);
            assert_eq!(accepts(&schema, &without), parses(&without), "without {field}");
        }
    }
    assert!(taken > 100 && refused > 1000, "{taken} {refused}");
    for table in [json!([]), json!({ "p": 7 }), json!({ "p": {} })] {
        assert!(!accepts(&schema, &table) && !parses(&table), "{table}");
    }
}

#[test]
fn the_parser_alone_knows_ports_addresses_and_headers_that_belong_to_the_connection() {
    let schema = schema("routes.json");
    for route in [
        json!({ "upstream": "https://x.example.com:70000" }),
        json!({ "upstream": "https://[::g]" }),
        json!({ "upstream": "https://x.example.com", "auth_header": "Content-Length" }),
    ] {
        let table = json!({ "p": route });
        assert!(accepts(&schema, &table) && !parses(&table), "{table}");
    }
}

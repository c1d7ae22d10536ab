//! `schema/sidecar.json` and the sidecar's parser.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use terok_shared::container::ContainerName;
use terok_shared::placement::Placement;
use terok_shared::sidecar::{Activation, Gate, Ipc, Loopback, Ports, Sidecar};

use crate::validator::accepts;
use crate::{fixture, keys_of, looked_up, schema, values};

const CALLS: [&str; 10] = [
    ".required_string(",
    ".required_path(",
    ".string(",
    ".path(",
    ".boolean(",
    "members.port(",
    ".seconds(",
    ".object(",
    ".strings(",
    ".unread(",
];

fn parses(sidecar: &Value) -> bool {
    Sidecar::parse(Path::new("/s/sidecar/web.json"), sidecar.to_string().as_bytes()).is_ok()
}

fn minimal() -> Value {
    json!({ "container_name": "web", "db_path": "/v/credentials.db", "runtime_dir": "/run/x" })
}

/// As written by our own writer, with everything it can write.
fn full() -> Value {
    let name = ContainerName::parse("web").unwrap();
    let mut sidecar = Sidecar::new(name, "/v/credentials.db".into(), "/run/x".into());
    sidecar.ipc = Ipc::Tcp(Ports { broker: Some(1), signer: Some(2), gate: Some(3) });
    sidecar.gate = Some(Gate {
        base_path: "/m".into(),
        token: "terok-g-1".to_owned().into(),
        policy: Some(json!({})),
    });
    sidecar.dossier_path = Some("/d".into());
    sidecar.allow_debugger = true;
    sidecar.token_subject = Some("web".into());
    sidecar.required = true;
    sidecar.activation = Activation::OnDemand { leave_after: Duration::from_secs(7) };
    sidecar.agent_token = Some("terok-p-1".to_owned().into());
    sidecar.loopback = Some(Loopback { vault: Some(9419), gate: Some(9418) });
    sidecar.placement = Some(Placement::Unit);
    sidecar.static_markers = false;
    sidecar.marker_tokens = vec![("anthropic".into(), "terok-p-2".to_owned().into())];
    let json = sidecar.to_json(Path::new("/s/sidecar/web.json")).unwrap();
    serde_json::from_slice(json.expose()).unwrap()
}

#[test]
fn the_schema_names_every_key_the_parser_reads_and_no_other() {
    let source = include_str!("../../src/sidecar.rs");
    let mut read = looked_up(source, &CALLS);
    // Those whose key is a constant of the function.
    read.extend(looked_up(source, &["const KEY: &str = "]));
    read.sort();
    read.dedup();
    assert_eq!(read, keys_of(&schema("sidecar.json")["properties"]));
}

#[test]
fn the_writer_writes_every_key_of_the_schema() {
    assert_eq!(keys_of(&full()), keys_of(&schema("sidecar.json")["properties"]));
}

#[test]
fn sidecars_of_both_writers_are_valid() {
    let schema = schema("sidecar.json");
    for sidecar in [fixture("sidecar/socket.json"), fixture("sidecar/tcp.json"), full(), minimal()]
    {
        assert!(accepts(&schema, &sidecar) && parses(&sidecar), "{sidecar}");
    }
}

#[test]
fn schema_and_parser_take_and_refuse_the_same_sidecars() {
    let schema = schema("sidecar.json");
    let (mut taken, mut refused) = (0, 0);
    for base in [minimal(), full()] {
        for key in keys_of(&schema["properties"]) {
            for value in values() {
                let mut sidecar = base.clone();
                sidecar[&key] = value;
                let parses = parses(&sidecar);
                assert_eq!(accepts(&schema, &sidecar), parses, "{key}: {}", sidecar[&key]);
                if parses { taken += 1 } else { refused += 1 }
            }
            let mut without = base.clone();
            without.as_object_mut().unwrap().remove(&key);
            assert_eq!(accepts(&schema, &without), parses(&without), "without {key}");
        }
    }
    assert!(taken > 500 && refused > 1500, "{taken} {refused}");
    assert!(!accepts(&schema, &json!([])) && !parses(&json!([])));
}

#[test]
fn what_another_reader_knows_is_no_error() {
    let mut sidecar = minimal();
    sidecar["of_another_reader"] = json!({ "anything": [1] });
    assert!(accepts(&schema("sidecar.json"), &sidecar) && parses(&sidecar));
}

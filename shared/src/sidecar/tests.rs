use super::*;

const FILE: &str = "/s/sidecar/web.json";
const SOCKET: &str = include_str!("../../../tests/fixtures/sidecar/socket.json");
const TCP: &str = include_str!("../../../tests/fixtures/sidecar/tcp.json");

fn parse(json: &str) -> Result<Sidecar, SidecarError> {
    Sidecar::parse(Path::new(FILE), json.as_bytes())
}

fn with(member: &str) -> String {
    format!(r#"{{"container_name":"web","db_path":"/v/c.db","runtime_dir":"/r",{member}}}"#)
}

#[test]
fn a_socket_mode_sidecar_of_an_existing_launcher_is_understood() {
    let sidecar = parse(SOCKET).unwrap();
    assert_eq!(sidecar.container_name.as_str(), "c1");
    assert_eq!(sidecar.ipc, Ipc::Socket);
    assert_eq!(sidecar.project_id, "proj1");
    assert!(sidecar.use_keyring);
    let gate = sidecar.gate.unwrap();
    assert!(gate.base_path.ends_with("sandbox/gate"));
    assert!(gate.token.matches("terok-g-ae3de36d64be5c5f7cb64ceae9084a4d"));
}

#[test]
fn a_tcp_mode_sidecar_of_an_existing_launcher_is_understood() {
    let sidecar = parse(TCP).unwrap();
    let ports = Ports { broker: Some(43411), signer: Some(45403), gate: Some(50311) };
    assert_eq!(sidecar.ipc, Ipc::Tcp(ports));
}

#[test]
fn an_older_sidecar_gets_the_defaults() {
    let old = parse(r#"{"container_name":"web","db_path":"/v/credentials.db","runtime_dir":"/r"}"#)
        .unwrap();
    assert_eq!(old.routes_path, Path::new("/v/routes.json"));
    assert_eq!(old.sealed_passphrase, Path::new("/v/vault.passphrase.cred"));
    assert!(!old.use_keyring && !old.allow_debugger && !old.required && old.static_markers);
    assert!(old.gate.is_none() && old.token_subject.is_none() && old.passphrase_command.is_none());
    assert_eq!(old.scope_id, "");
}

#[test]
fn unknown_members_and_nulls_are_ignored() {
    assert!(parse(&with(r#""clearance":{"x":1},"dossier_path":null,"tcp_port":null"#)).is_ok());
}

#[test]
fn half_a_gate_is_no_gate() {
    assert!(parse(&with(r#""gate_base_path":"/g""#)).unwrap().gate.is_none());
    assert!(parse(&with(r#""gate_token":"terok-g-1""#)).unwrap().gate.is_none());
}

#[test]
fn every_refusal_names_file_key_and_kind() {
    let cases = [
        (with(r#""tcp_port":"80""#), "`tcp_port`", "a string"),
        (with(r#""tcp_port":true"#), "`tcp_port`", "a boolean"),
        (with(r#""gate_port":1.5"#), "`gate_port`", "1.5"),
        (with(r#""ssh_signer_port":0"#), "`ssh_signer_port`", "found 0"),
        (with(r#""tcp_port":65536"#), "`tcp_port`", "65536"),
        (with(r#""tcp_port":-1"#), "`tcp_port`", "-1"),
        (with(r#""ipc_mode":"vsock""#), "`ipc_mode`", "vsock"),
        (with(r#""ipc_mode":7"#), "`ipc_mode`", "a number"),
        (with(r#""routes_path":"routes.json""#), "`routes_path`", "relative"),
        (with(r#""scope_id":[]"#), "`scope_id`", "an array"),
        (with(r#""allow_debugger":"yes""#), "`allow_debugger`", "a string"),
        (with(r#""required":1"#), "`required`", "a number"),
        (with(r#""gate_base_path":"g""#), "`gate_base_path`", "relative"),
        (r#"{"db_path":"/v","runtime_dir":"/r"}"#.into(), "`container_name`", "missing"),
        (r#"{"container_name":"w","runtime_dir":"/r"}"#.into(), "`db_path`", "missing"),
        (r#"{"container_name":"w","db_path":"/v"}"#.into(), "`runtime_dir`", "missing"),
        (
            r#"{"container_name":"a/b","db_path":"/v","runtime_dir":"/r"}"#.into(),
            "`container_name`",
            "'/'",
        ),
    ];
    for (json, key, found) in cases {
        let message = parse(&json).unwrap_err().to_string();
        for part in [FILE, key, found] {
            assert!(message.contains(part), "{part} is not in {message}");
        }
    }
}

#[test]
fn an_agent_socket_comes_with_its_token() {
    let members = r#""agent_socket":true,"ssh_token":"terok-p-1""#;
    let token = parse(&with(members)).unwrap().agent_token.unwrap();
    assert!(token.matches("terok-p-1"));
    for without in [r#""agent_socket":false,"ssh_token":"t""#, r#""ssh_token":"t""#] {
        assert!(parse(&with(without)).unwrap().agent_token.is_none());
    }
    for wrong in [
        r#""agent_socket":true"#,
        r#""agent_socket":true,"ssh_token":"""#,
        r#""agent_socket":"yes","ssh_token":"t""#,
    ] {
        let message = parse(&with(wrong)).unwrap_err().to_string();
        assert!(message.contains("`agent_socket`"), "{message}");
    }
}

#[test]
fn marker_tokens_are_strings_by_provider() {
    let sidecar = parse(&with(r#""marker_tokens":{"openai":"terok-p-1"}"#)).unwrap();
    let [(provider, token)] = &sidecar.marker_tokens[..] else { panic!("one") };
    assert!(provider == "openai" && token.matches("terok-p-1"));
    assert!(parse(&with(r#""required":true"#)).unwrap().marker_tokens.is_empty());
    for wrong in [r#""marker_tokens":["t"]"#, r#""marker_tokens":{"openai":7}"#] {
        let message = parse(&with(wrong)).unwrap_err().to_string();
        assert!(message.contains("`marker_tokens`"), "{message}");
    }
}

#[test]
fn loopback_names_ports_inside_the_container() {
    let loopback = parse(&with(r#""loopback":{"vault":9419,"gate":9418}"#)).unwrap().loopback;
    assert_eq!(loopback, Some(Loopback { vault: Some(9419), gate: Some(9418) }));
    for (value, part) in [
        ("true", "a boolean"),
        ("{}", "neither"),
        (r#"{"vault":"9419"}"#, "member `vault`"),
        (r#"{"vault":9419,"gate":9419}"#, "the same port"),
        (r#"{"vault":9419,"tls":9443}"#, "has a member \"tls\""),
    ] {
        let message = parse(&with(&format!(r#""loopback":{value}"#))).unwrap_err().to_string();
        assert!(message.contains("`loopback`") && message.contains(part), "{message}");
    }
}

#[test]
fn a_gates_policy_is_handed_on_unread() {
    let wired = r#""gate_base_path":"/g","gate_token":"t","gate_policy":"#;
    for policy in ["7", r#"{"protected":["refs/heads/main"]}"#] {
        let gate = parse(&with(&format!("{wired}{policy}"))).unwrap().gate.unwrap();
        assert_eq!(gate.policy.unwrap().to_string(), policy);
    }
    assert_eq!(parse(&with(&format!("{wired}null"))).unwrap().gate.unwrap().policy, None);
}

#[test]
fn activation_on_demand_leaves_after_a_while_of_its_own() {
    let of = |members: &str| parse(&with(members)).unwrap().activation;
    let on_demand = |seconds| Activation::OnDemand { leave_after: Duration::from_secs(seconds) };
    assert_eq!(of(r#""activation":"eager","leave_after_s":7"#), Activation::Eager);
    assert_eq!(of(r#""activation":"on-demand""#), on_demand(300));
    assert_eq!(of(r#""activation":"on-demand","leave_after_s":7"#), on_demand(7));
    for wrong in ["0", "86401", "1.5", "\"7\""] {
        let members = format!(r#""activation":"on-demand","leave_after_s":{wrong}"#);
        let message = parse(&with(&members)).unwrap_err().to_string();
        assert!(message.contains("`leave_after_s`"), "{message}");
    }
}

#[test]
fn what_is_not_a_json_object_is_refused() {
    for json in ["", "{", "[]", "null", "7", "\u{feff}{}", &"[".repeat(100_000)] {
        assert!(parse(json).is_err(), "{:.20}", json);
    }
}

#[test]
fn a_secret_value_is_not_repeated_in_a_message() {
    let message = parse(&with(r#""gate_token":["terok-g-secret"]"#)).unwrap_err().to_string();
    assert!(!message.contains("secret"), "{message}");
}

#[test]
fn required_is_seen_even_when_another_member_is_wrong() {
    assert!(insists(with(r#""required":true,"tcp_port":"x""#).as_bytes()));
    assert!(!insists(with(r#""required":"true""#).as_bytes()));
    assert!(!insists(b"not json"));
}

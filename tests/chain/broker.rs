//! A request's whole way: container's socket, token, vault, upstream, and the audit's line of it.

use serde_json::{Value, json};
use terok_shared::endpoint::Endpoint;
use terok_shared::service::Service;
use terok_shared::token::STATIC_MARKERS;
use terok_tests::eventually::eventually;
use terok_tests::house::House;
use terok_tests::upstream::{ANSWER, Upstream};
use terok_tests::{fixtures, http};

/// Acts on the broker of a container whose sidecar has these further members.
fn with_broker(members: &[(&str, Value)], act: impl FnOnce(&House, &Endpoint, &Upstream)) {
    let house = House::new();
    let upstream = Upstream::start();
    house.write_routes(&upstream.routes());
    let sidecar = members
        .iter()
        .fold(house.sidecar("web"), |sidecar, (key, value)| sidecar.with(key, value.clone()));
    let web = house.container(&sidecar);
    web.start();
    act(&house, &web.endpoint(Service::Broker), &upstream);
}

#[test]
fn the_upstream_gets_the_real_credential_and_the_container_its_answer() {
    with_broker(&[], |_, broker, upstream| {
        let phantom = fixtures::token("fake");
        let answer = http::get_with(broker, "/v1/models?limit=3", &phantom).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, ANSWER));
        let seen = &upstream.seen()[0];
        assert!(seen.starts_with("GET /v1/models?limit=3 HTTP/1.1\r\n"), "{seen}");
        let credential = format!("Bearer {}", fixtures::REAL_SECRETS[0]);
        assert!(seen.contains(&credential), "{seen}");
        assert!(!seen.contains(&phantom), "{seen}");
    });
}

#[test]
fn a_route_with_a_header_of_its_own_gets_its_key_there() {
    with_broker(&[], |_, broker, upstream| {
        let token = format!("x-api-key: {}", fixtures::token("fakekey"));
        assert_eq!(http::get(broker, "/", &[&token]).unwrap().status, 200);
        let seen = upstream.seen()[0].to_lowercase();
        let expected = format!("x-api-key: {}\r\n", fixtures::REAL_SECRETS[1].to_lowercase());
        assert!(seen.contains(&expected), "{seen}");
    });
}

#[test]
fn a_marker_is_the_token_that_the_sidecar_gives_it_and_another_marker_is_none() {
    let [(marker, provider), (other, _)] = STATIC_MARKERS;
    let members = [
        ("marker_tokens", json!({ provider: fixtures::token("fake") })),
        ("static_markers", false.into()),
    ];
    with_broker(&members, |_, broker, upstream| {
        assert_eq!(http::get_with(broker, "/v1/messages", marker).unwrap().status, 200);
        assert!(upstream.seen()[0].contains(fixtures::REAL_SECRETS[0]), "{:?}", upstream.seen());
        assert_eq!(http::get_with(broker, "/v1/messages", other).unwrap().status, 401);
    });
}

#[test]
fn a_request_without_a_good_token_goes_nowhere() {
    with_broker(&[], |_, broker, upstream| {
        let missing = http::get(broker, "/", &[]).unwrap();
        assert_eq!((missing.status, missing.body.as_str()), (401, "Missing authentication"));
        let unknown = "terok-p-00000000000000000000000000000000";
        let unknown = http::get_with(broker, "/", unknown).unwrap();
        assert_eq!((unknown.status, unknown.body.as_str()), (401, "Invalid token"));
        assert!(upstream.seen().is_empty());
    });
}

#[test]
fn a_token_outside_this_containers_limits_is_refused() {
    for member in [("scope_id", "other"), ("token_subject", "somebody-else")] {
        with_broker(&[(member.0, member.1.into())], |house, broker, upstream| {
            let answer = http::get_with(broker, "/", &fixtures::token("fake")).unwrap();
            assert_eq!(answer.status, 403);
            assert!(upstream.seen().is_empty());
            eventually("an audit line", || !house.audit().is_empty());
            assert_eq!(house.audit()[0]["outcome"], "wrong_scope");
        });
    }
}

#[test]
fn a_token_of_its_own_subject_is_honoured() {
    with_broker(&[("token_subject", "bench".into())], |_, broker, _| {
        assert_eq!(http::get_with(broker, "/", &fixtures::token("fake")).unwrap().status, 200);
    });
}

#[test]
fn the_audit_says_who_used_what_for_what() {
    with_broker(&[], |house, broker, _| {
        http::get_with(broker, "/v1/models?key=in-the-query", &fixtures::token("fake")).unwrap();
        eventually("an audit line", || !house.audit().is_empty());
        let line = &house.audit()[0];
        for (key, value) in [
            ("scope", "proj1"),
            ("subject", "bench"),
            ("credential_set", "default"),
            ("provider", "fake"),
            ("method", "GET"),
            ("path", "/v1/models"),
            ("outcome", "ok"),
        ] {
            assert_eq!(line[key], value, "{line}");
        }
        assert_eq!(line["status"], 200);
    });
}

#[test]
fn a_request_before_the_vault_is_open_waits_for_it() {
    let house = House::new();
    let upstream = Upstream::start();
    house.write_routes(&upstream.routes());
    let slow = format!("sh -c 'sleep 0.5; cat {}'", house.passphrase_file().display());
    let web = house.container(&house.sidecar("web").with("credentials_passphrase_command", slow));
    web.start();
    let broker = web.endpoint(Service::Broker);
    assert_eq!(http::get_with(&broker, "/", &fixtures::token("fake")).unwrap().status, 200);
}

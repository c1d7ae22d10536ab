//! What the operator does to vault and table counts at once, for a container that runs.

use std::time::{Duration, Instant};

use terok_shared::endpoint::Endpoint;
use terok_shared::service::Service;
use terok_shared::token::Form;
use terok_tests::house::House;
use terok_tests::terokctl::terokctl_ok;
use terok_tests::upstream::{ANSWER, Upstream};
use terok_tests::{fixtures, http};

/// From the end of the operator's command.
const SOON: Duration = Duration::from_millis(100);

/// `terokctl vault WORDS…`
fn vault(house: &House, words: &[&str]) -> String {
    let file = house.passphrase_file();
    let file = ["--passphrase-file", file.to_str().unwrap()];
    terokctl_ok(house, &[&["vault"], words, &file].concat()).trim().to_owned()
}

#[track_caller]
fn eventually_soon(mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < SOON, "not in force after {:?}", began.elapsed());
    }
}

fn with_broker(act: impl FnOnce(&House, &Endpoint, &Upstream)) {
    let house = House::new();
    let upstream = Upstream::start();
    house.write_routes(&upstream.routes());
    let web = house.container(&house.sidecar("web"));
    web.start();
    act(&house, &web.endpoint(Service::Broker), &upstream);
}

#[test]
fn a_token_in_any_providers_form_works_until_it_is_revoked() {
    with_broker(|house, broker, _| {
        let whose = ["--scope", fixtures::SCOPE, "--subject", "x"];
        let mint =
            |form| vault(house, &[&["token", "mint", "fake", "--like", form], &whose[..]].concat());
        let tokens: Vec<String> = Form::providers().map(mint).collect();
        let status = |token: &String| http::get_with(broker, "/", token).unwrap().status;
        for token in &tokens {
            let answer = http::get_with(broker, "/", token).unwrap();
            assert_eq!((answer.status, answer.body.as_str()), (200, ANSWER), "{token}");
        }
        vault(house, &["token", "revoke", "--subject", "x"]);
        eventually_soon(|| tokens.iter().all(|token| status(token) == 401));
    });
}

#[test]
fn a_changed_credential_is_sent_soon() {
    with_broker(|house, broker, upstream| {
        let phantom = fixtures::token("fake");
        assert_eq!(http::get_with(broker, "/", &phantom).unwrap().status, 200);
        let secret = house.path().join("secret");
        std::fs::write(&secret, "another-real-one").unwrap();
        let from = ["add", "fake", "--type", "api_key", "--from-file", secret.to_str().unwrap()];
        vault(house, &from);
        eventually_soon(|| {
            assert_eq!(http::get_with(broker, "/", &phantom).unwrap().status, 200);
            upstream.seen().last().unwrap().contains("Bearer another-real-one")
        });
    });
}

#[test]
fn a_changed_table_leads_elsewhere_soon() {
    with_broker(|house, broker, upstream| {
        let phantom = fixtures::token("fake");
        assert_eq!(http::get_with(broker, "/", &phantom).unwrap().status, 200);
        let another = Upstream::start();
        house.write_routes(&another.routes());
        eventually_soon(|| {
            let _ = http::get_with(broker, "/", &phantom);
            !another.seen().is_empty()
        });
        assert!(!upstream.seen().is_empty());
    });
}

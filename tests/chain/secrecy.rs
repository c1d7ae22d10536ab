//! No secret is ever written: not to a log at its most talkative, not to diary or audit, not where
//! other users look.

use terok_shared::service::Service;
use terok_tests::agent::Agent;
use terok_tests::by_hand::ByHand;
use terok_tests::house::House;
use terok_tests::mirror::Mirror;
use terok_tests::sidecar::GATE_TOKEN;
use terok_tests::upstream::Upstream;
use terok_tests::{fixtures, http, tree};

fn secrets() -> Vec<String> {
    let tokens = ["fake", "fakekey", "ssh"].map(fixtures::token);
    let real = fixtures::REAL_SECRETS.map(str::to_owned);
    let more = [fixtures::passphrase().expose().clone(), GATE_TOKEN.to_owned()];
    tokens.into_iter().chain(real).chain(more).collect()
}

#[track_caller]
fn assert_none_in(what: &str, text: &str) {
    for secret in secrets() {
        assert!(!text.contains(&secret), "{secret} is in the {what}: {text}");
    }
}

#[test]
fn the_log_at_its_most_talkative_and_the_audit_hold_no_secret() {
    let house = House::new();
    let upstream = Upstream::start();
    house.write_routes(&upstream.routes());
    let _mirror = Mirror::new(&house);
    let sidecar = house.sidecar("web").with_gate(&house);
    let by_hand = ByHand::start(&house, &sidecar, &[("TEROK_LOG", "trace")]);
    by_hand.wait_until_it_says("gate is ready");
    let broker = by_hand.endpoint(Service::Broker);
    for provider in ["fake", "fakekey", "dead", "ssh"] {
        http::get_with(&broker, "/", &fixtures::token(provider)).unwrap();
    }
    for token in ["ssh", "fake"] {
        let signer = by_hand.endpoint(Service::Signer);
        // Refused or not is another test's claim.
        let _ = Agent::connect(&signer, &fixtures::token(token)).unwrap().identities();
    }
    // The gate's token as the password of a wrong name.
    let basic = "Authorization: Basic eDp0ZXJvay1nLWFlM2RlMzZkNjRiZTVjNWY3Y2I2NGNlYWU5MDg0YTRk";
    http::get(&by_hand.endpoint(Service::Gate), "/proj1.git/HEAD", &[basic]).unwrap();
    assert_eq!(upstream.seen().len(), 2);
    assert_none_in("log", &by_hand.said());
    let audit: Vec<String> = house.audit().iter().map(ToString::to_string).collect();
    assert_none_in("audit", &audit.join("\n"));
}

#[test]
fn no_argument_and_no_environment_holds_a_secret() {
    let house = House::new();
    let sidecar = house.sidecar("web").with_gate(&house).with("allow_debugger", true);
    let web = house.container(&sidecar);
    let tree = web.start_serving(&Service::ALL);
    for (name, process) in tree.members() {
        let arguments = process.arguments().unwrap().concat();
        assert_none_in(&format!("{name}'s arguments"), &String::from_utf8_lossy(&arguments));
        let environment = format!("{:?}", tree::environment(process));
        assert_none_in(&format!("{name}'s environment"), &environment);
    }
    assert_none_in("diary", &house.diary());
    assert_none_in("log", &web.log());
}

//! Services that are started by their first client and leave when nobody comes: nobody notices but
//! the process table.

use std::time::{Duration, Instant};

use serde_json::json;
use terok_shared::service::Service;
use terok_tests::agent::Agent;
use terok_tests::container::Container;
use terok_tests::eventually::{eventually, found};
use terok_tests::house::House;
use terok_tests::sidecar::Sidecar;
use terok_tests::stream::Stream;
use terok_tests::terokctl::terokctl_ok;
use terok_tests::tree::Tree;
use terok_tests::upstream::Upstream;
use terok_tests::{fixtures, http};

/// Seconds without a client.
const SHORT: u64 = 1;

fn on_demand(house: &House, leave_after_s: u64) -> Sidecar {
    house.sidecar("web").with("activation", "on-demand").with("leave_after_s", leave_after_s)
}

fn is_alone(tree: Tree) -> bool {
    tree.members().len() == 1
}

#[track_caller]
fn status_of_request(web: &Container<'_>) -> u16 {
    let broker = web.endpoint(Service::Broker);
    http::get_with(&broker, "/", &fixtures::token("fake")).unwrap().status
}

#[test]
fn an_idle_container_costs_one_process_and_its_first_client_is_served() {
    let house = House::new();
    let upstream = Upstream::start();
    house.write_routes(&upstream.routes());
    let web = house.container(&on_demand(&house, 300));
    let tree = web.start();
    assert!(is_alone(tree), "{:?}", tree.members());
    let told = terokctl_ok(&house, &["status", "web"]);
    assert!(told.contains("keeper:dormant") && told.contains("broker:dormant"), "{told}");

    let began = Instant::now();
    assert_eq!(status_of_request(&web), 200);
    println!("first answer after {} ms", began.elapsed().as_millis());
    assert!(tree.child(Service::Keeper).is_some() && tree.child(Service::Broker).is_some());
    // Nobody wanted a signature.
    assert!(tree.child(Service::Signer).is_none());
    let mut agent =
        Agent::connect(&web.endpoint(Service::Signer), &fixtures::token("ssh")).unwrap();
    assert_eq!(agent.identities().unwrap(), 2);
}

#[test]
fn services_leave_when_nobody_comes_and_are_back_for_the_next() {
    let house = House::new();
    let upstream = Upstream::start();
    house.write_routes(&upstream.routes());
    let web = house.container(&on_demand(&house, SHORT));
    let tree = web.start();
    for _ in 0..2 {
        assert_eq!(status_of_request(&web), 200);
        assert!(!is_alone(tree));
        eventually("everybody leaves", || is_alone(tree));
    }
    // Leaving is no trouble to be told of.
    assert!(!web.log().contains("ended:"), "{}", web.log());
    let told: serde_json::Value =
        serde_json::from_str(&terokctl_ok(&house, &["status", "--json"])).unwrap();
    for service in told[0]["services"].as_array().unwrap() {
        assert_eq!((&service["restarts"], &service["last_error"]), (&json!(0), &json!(null)));
    }
}

#[test]
fn no_grant_is_remembered_while_nobody_watches_the_vault() {
    let house = House::new();
    let upstream = Upstream::start();
    house.write_routes(&upstream.routes());
    let web = house.container(&on_demand(&house, SHORT));
    let tree = web.start();
    // A client that stays keeps the broker, with what it remembers.
    let _client = Stream::connect(&web.endpoint(Service::Broker)).unwrap();
    assert_eq!(status_of_request(&web), 200);
    let broker = found("the broker runs", || tree.child(Service::Broker));
    eventually("the keeper leaves", || tree.child(Service::Keeper).is_none());

    let passphrase = house.passphrase_file();
    let passphrase = ["--passphrase-file", passphrase.to_str().unwrap()];
    let list =
        terokctl_ok(&house, &[&["vault", "token", "list", "--json"], &passphrase[..]].concat());
    let tokens: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
    let fake = tokens.iter().find(|token| token["provider"] == "fake").expect("a token");
    let revoke = ["vault", "token", "revoke", fake["id"].as_str().expect("an id")];
    terokctl_ok(&house, &[&revoke[..], &passphrase[..]].concat());
    assert_eq!(status_of_request(&web), 401);
    assert_eq!(tree.child(Service::Broker), Some(broker));
}

#[test]
fn a_busy_keeper_stays() {
    let house = House::new();
    let web = house.container(&on_demand(&house, SHORT));
    let tree = web.start();
    let mut agent =
        Agent::connect(&web.endpoint(Service::Signer), &fixtures::token("ssh")).unwrap();
    agent.identities().unwrap();
    let keeper = found("the keeper runs", || tree.child(Service::Keeper));
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(SHORT) * 3 {
        agent.identities().unwrap();
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(tree.child(Service::Keeper), Some(keeper));
}

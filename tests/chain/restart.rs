//! A service that dies is started again behind its socket: nobody is refused meanwhile, and what
//! was asked is answered.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use serde_json::{Value, json};
use terok_shared::endpoint::Endpoint;
use terok_shared::process::Process;
use terok_shared::service::Service;
use terok_tests::agent::{self, Agent};
use terok_tests::container::Container;
use terok_tests::eventually::{found, within};
use terok_tests::house::House;
use terok_tests::mirror::Mirror;
use terok_tests::sidecar::GATE_TOKEN;
use terok_tests::stream::Stream;
use terok_tests::terokctl::{terokctl, terokctl_ok};
use terok_tests::tree::{self, Tree};
use terok_tests::{fixtures, http};

/// The promise is 300 ms of an optimised build; slower machines and builds get this.
const BOUND: Duration = Duration::from_secs(2);

/// Whether the service answers; the keeper is asked through the signer.
fn answers(container: &Container<'_>, service: Service) -> io::Result<()> {
    let endpoint = |service| container.endpoint(service);
    match service {
        Service::Keeper | Service::Signer => {
            let mut agent = Agent::connect(&endpoint(Service::Signer), &fixtures::token("ssh"))?;
            agent.identities().map(drop)
        }
        Service::Broker => http::get(&endpoint(service), "/-/health", &[]).map(drop),
        Service::Gate => http::get(&endpoint(service), "/no-such-path", &[]).map(drop),
    }
}

fn child(tree: Tree, service: Service) -> Process {
    found(&format!("the {service}'s process"), || tree.child(service))
}

/// Connects to every endpoint again and again until `done`; how many times it was refused.
fn refusals(endpoints: &[Endpoint], done: &AtomicBool) -> usize {
    let mut refused = 0;
    while !done.load(Ordering::Relaxed) {
        refused += endpoints.iter().filter(|endpoint| Stream::connect(endpoint).is_err()).count();
        thread::sleep(Duration::from_millis(5));
    }
    refused
}

/// Kills the service's process while others connect, and waits until it answers again.
fn killed(service: Service) {
    let house = House::new();
    let _mirror = Mirror::new(&house);
    let web = house.container(&house.sidecar("web").with_gate(&house));
    let tree = web.start_serving(&Service::ALL);
    let victim = child(tree, service);
    let endpoints = [Service::Broker, Service::Signer, Service::Gate].map(|s| web.endpoint(s));
    let done = AtomicBool::new(false);
    let (took, refused) = thread::scope(|scope| {
        let connecting = scope.spawn(|| refusals(&endpoints, &done));
        let began = Instant::now();
        victim.kill().unwrap();
        within(BOUND, "it answers again", || answers(&web, service).is_ok());
        let took = began.elapsed();
        done.store(true, Ordering::Relaxed);
        (took, connecting.join().unwrap())
    });
    println!("{service}: answered {took:?} after it was killed");
    assert!(took < BOUND, "{took:?}");
    assert_eq!(refused, 0);
    assert_ne!(child(tree, service), victim);
}

#[test]
fn a_killed_keeper_is_back_and_nobody_was_refused() {
    killed(Service::Keeper);
}

#[test]
fn a_killed_broker_is_back_and_nobody_was_refused() {
    killed(Service::Broker);
}

#[test]
fn a_killed_signer_is_back_and_nobody_was_refused() {
    killed(Service::Signer);
}

#[test]
fn a_killed_gate_is_back_and_nobody_was_refused() {
    killed(Service::Gate);
}

#[test]
fn a_question_in_flight_survives_the_keepers_death() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let tree = web.start_serving(&[Service::Keeper, Service::Signer]);
    let mut agent =
        Agent::connect(&web.endpoint(Service::Signer), &fixtures::token("ssh")).unwrap();
    assert_eq!(agent.identities().unwrap(), 2);
    let keeper = child(tree, Service::Keeper);
    tree::signal(keeper, Signal::STOP);
    agent.ask_for_identities().unwrap();
    // Nobody can see the question arrive; it may also still be on its way when the keeper dies.
    thread::sleep(Duration::from_millis(50));
    keeper.kill().unwrap();
    assert_eq!(agent::count(&agent.receive().unwrap()).unwrap(), 2);
}

/// The pauses are 6.4 s together.
#[test]
fn a_service_that_keeps_failing_is_tried_ever_more_rarely_and_then_no_more() {
    let house = House::with_own_programs();
    house.programs().replace(Service::Signer.program(), "exit 4");
    let web = house.container(&house.sidecar("web"));
    let tree = web.start();
    let client = Stream::connect(&web.endpoint(Service::Signer)).unwrap();
    for pause in [50, 100, 200, 400, 800, 1600, 3200] {
        let words = format!("signer starts again in {pause} ms");
        within(Duration::from_secs(5), &words, || web.log().contains(&words));
    }
    within(Duration::from_secs(5), "the limit", || web.log().contains("9 times in a row"));
    // Nobody waits for an answer that will never come.
    assert!(Stream::connect(&web.endpoint(Service::Signer)).is_err());
    drop(client);
    assert!(tree.parent.is_alive());
    answers(&web, Service::Broker).unwrap();

    let told: Value = serde_json::from_str(&terokctl_ok(&house, &["status", "--json"])).unwrap();
    let services = told[0]["services"].as_array().unwrap();
    let signer = services.iter().find(|service| service["service"] == "signer").unwrap();
    assert_eq!((&signer["state"], &signer["restarts"]), (&json!("failed"), &json!(8)));
    assert_eq!(signer["last_error"], "exit status 4");
    let report = terokctl(&house, &["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let finding =
        findings.clone().find(|f| f.to_string().contains("signer of web ended too often"));
    let finding = finding.unwrap_or_else(|| panic!("not in {report}"));
    assert!(finding["hint"].as_str().unwrap().contains("terokctl respawn web"), "{finding}");
    assert_eq!(finding["fixable"], true);

    // The cure, once its cause is gone.
    house.programs().restore(Service::Signer.program());
    let said = terokctl_ok(&house, &["respawn", "web"]);
    assert!(said.contains("serves web again"), "{said}");
    assert!(!tree.parent.is_alive());
    answers(&web, Service::Signer).unwrap();
}

/// A gate leaves its next client to a new gate then. That is no failure, so no limit counts it.
#[test]
fn a_gate_whose_policy_is_changed_again_and_again_is_no_failure_and_refuses_nobody() {
    let house = House::new();
    let mirror = Mirror::new(&house);
    let web = house.container(&house.sidecar("web").with_gate(&house));
    web.start_serving(&[Service::Gate]);
    let gate = web.endpoint(Service::Gate);
    let user = STANDARD.encode(format!("{GATE_TOKEN}:x"));
    let header = format!("Authorization: Basic {user}");
    let refs = format!("/{}.git/info/refs?service=git-upload-pack", fixtures::SCOPE);
    for size in 1..=12 {
        let policy = json!({ "max_pack_bytes": 1_000_000 + size }).to_string();
        std::fs::write(mirror.path().with_extension("policy.json"), policy).unwrap();
        let began = Instant::now();
        assert_eq!(http::get(&gate, &refs, &[&header]).unwrap().status, 200);
        assert!(began.elapsed() < BOUND, "{size}: {:?}", began.elapsed());
    }
    assert!(web.log().matches("the push policy has changed").count() == 12, "{}", web.log());
    assert!(!web.log().contains("ended:"), "{}", web.log());
    let told: Value = serde_json::from_str(&terokctl_ok(&house, &["status", "--json"])).unwrap();
    let services = told[0]["services"].as_array().unwrap();
    let gate = services.iter().find(|service| service["service"] == "gate").unwrap();
    assert_eq!((&gate["restarts"], &gate["last_error"]), (&json!(0), &json!(null)));
    let process = Process::of(gate["pid"].as_i64().unwrap().try_into().unwrap()).unwrap();
    assert_eq!(gate["started"], json!(process.started()));
}

#[test]
fn a_service_that_cannot_use_its_slice_is_not_tried_again() {
    let house = House::with_own_programs();
    house.programs().replace(Service::Signer.program(), "exit 2");
    let web = house.container(&house.sidecar("web"));
    web.start();
    web.logged("signer is not started again");
    assert!(!web.log().contains("signer starts again"), "{}", web.log());
    answers(&web, Service::Broker).unwrap();
}

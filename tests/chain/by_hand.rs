//! The supervisor from a shell: one argument, its words on the terminal, Ctrl-C to end.

use terok_shared::service::Service;
use terok_tests::agent::Agent;
use terok_tests::by_hand::{ByHand, command};
use terok_tests::house::House;
use terok_tests::{fixtures, http, tree};

fn serves(by_hand: &ByHand) {
    let health = http::get(&by_hand.endpoint(Service::Broker), "/-/health", &[]).unwrap();
    assert_eq!(health.status, 200);
    let token = fixtures::token("ssh");
    let mut agent = Agent::connect(&by_hand.endpoint(Service::Signer), &token).unwrap();
    assert_eq!(agent.identities().unwrap(), 2);
}

#[test]
fn it_serves_and_ends_cleanly_on_ctrl_c() {
    let house = House::new();
    let mut by_hand = ByHand::start(&house, &house.sidecar("web"), &[]);
    by_hand.wait_until_it_says("listening on broker");
    serves(&by_hand);
    by_hand.interrupt();
    assert_eq!(by_hand.ended().code(), Some(0));
    let said = by_hand.said();
    assert!(said.contains("signer is ready") && said.contains("told to stop"), "{said}");
    assert!(!house.state_root().pids().exists());
    assert!(!house.runtime_dir().join("run/web/vault/vault.sock").exists());
}

#[test]
fn the_interrupt_of_a_terminal_reaches_everybody_and_does_no_harm() {
    let house = House::new();
    let mut by_hand = ByHand::start(&house, &house.sidecar("web"), &[]);
    by_hand.wait_until_it_says("keeper is ready");
    // A terminal signals the whole foreground group, children before or after the parent.
    let keeper = by_hand.child(Service::Keeper).unwrap();
    by_hand.interrupt();
    if keeper.is_alive() {
        let _ = keeper.open().map(|_| tree::signal(keeper, rustix::process::Signal::INT));
    }
    assert_eq!(by_hand.ended().code(), Some(0));
}

#[test]
fn a_bad_sidecar_is_status_2() {
    let house = House::new();
    for text in ["{", r#"{"container_name": 7}"#] {
        let path = house.state_root().sidecars().join("web.json");
        terok_tests::sidecar::write(&path, text);
        let output = command(&house).arg("--sidecar").arg(&path).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(path.to_str().unwrap()), "{said}");
    }
}

#[test]
fn a_wrong_command_line_is_status_2_with_a_way_out() {
    let house = House::new();
    for arguments in [&["--sidecar"][..], &[], &["--nonsense"], &["--sidecar", "/etc/passwd"]] {
        let output = command(&house).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("hint: run terok-supervisor --help"), "{said}");
    }
}

#[test]
fn nothing_that_could_be_started_is_status_3() {
    let house = House::new();
    let long = house.path().join("r".repeat(100));
    let sidecar = house.sidecar("web").with("runtime_dir", long.to_str().unwrap());
    let mut by_hand = ByHand::start(&house, &sidecar, &[]);
    assert_eq!(by_hand.ended().code(), Some(3));
    let said = by_hand.said();
    assert!(said.contains("no service could be started") && said.contains("hint:"), "{said}");
}

#[test]
fn services_that_all_give_up_are_status_3() {
    let house = House::with_own_programs();
    for service in Service::ALL {
        house.programs().replace(service.program(), "exit 2");
    }
    let mut by_hand = ByHand::start(&house, &house.sidecar("web"), &[]);
    assert_eq!(by_hand.ended().code(), Some(3));
    by_hand.wait_until_it_says("no service can be started");
    assert!(!house.runtime_dir().join("run/web/vault/vault.sock").exists());
}

#[test]
fn a_second_supervisor_of_the_same_name_is_refused_and_the_first_serves_on() {
    let house = House::new();
    let first = ByHand::start(&house, &house.sidecar("web"), &[]);
    first.wait_until_it_says("listening on");
    let sidecar = house.state_root().sidecars().join("web.json");
    let output = command(&house).arg("--sidecar").arg(sidecar).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("another process is serving there"), "{said}");
    serves(&first);
}

#[test]
fn a_relative_sidecar_path_is_a_convenience_of_the_shell() {
    let house = House::new();
    let output = command(&house)
        .args(["--sidecar", "sidecar/none.json"])
        .current_dir(house.state_root().path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let whole = house.state_root().sidecars().join("none.json");
    assert!(said.contains(whole.to_str().unwrap()), "{said}");
}

#[test]
fn help_and_version_are_printed_to_standard_output() {
    let house = House::new();
    for (option, words) in
        [("--help", "usage: terok-supervisor --sidecar PATH"), ("--version", "terok-supervisor 0.")]
    {
        let output = command(&house).arg(option).output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&output.stdout).contains(words));
        assert!(output.stderr.is_empty());
    }
}

//! TCP mode: the same services on ports of the host's loopback, and nowhere else.

use std::net::{TcpListener, UdpSocket};

use terok_shared::service::Service;
use terok_tests::agent::Agent;
use terok_tests::house::House;
use terok_tests::mirror::{Mirror, git_ok};
use terok_tests::sidecar::GATE_TOKEN;
use terok_tests::stream::free_ports;
use terok_tests::upstream::{ANSWER, Upstream};
use terok_tests::{fixtures, http};

#[test]
fn every_service_answers_on_its_port() {
    let house = House::new();
    let upstream = Upstream::start();
    house.write_routes(&upstream.routes());
    let mirror = Mirror::new(&house);
    let ports = free_ports();
    let sidecar = house.sidecar("web").with_gate(&house).on_ports(ports);
    let web = house.container(&sidecar);
    web.start();
    for port in ports {
        assert!(house.diary().contains(&format!("127.0.0.1:{port}")), "{}", house.diary());
    }
    let token = fixtures::token("fake");
    let answer = http::get_with(&web.endpoint(Service::Broker), "/v1", &token).unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, ANSWER));
    let token = fixtures::token("ssh");
    let mut agent = Agent::connect(&web.endpoint(Service::Signer), &token).unwrap();
    assert_eq!(agent.identities().unwrap(), 2);
    let gate = ports[2];
    let tree = mirror.work_tree(&format!("http://{GATE_TOKEN}:x@127.0.0.1:{gate}/proj1.git"));
    git_ok(&tree, &["push", "-q", "origin", "main"]);
    assert_eq!(mirror.tip("main"), git_ok(&tree, &["rev-parse", "HEAD"]));
}

#[test]
fn no_other_address_of_the_host_is_bound() {
    let house = House::new();
    let ports: [u16; 3] = free_ports();
    let web = house.container(&house.sidecar("web").on_ports(ports));
    web.start();
    let Some(address) = outward_address() else {
        return println!("skipped: this host has no address but the loopback's");
    };
    for port in &ports[..2] {
        // Had it been bound on every address, this one were taken.
        TcpListener::bind((address, *port)).unwrap();
    }
}

/// The address the kernel would send from; connecting a datagram socket sends nothing.
fn outward_address() -> Option<std::net::IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback())
}

#[test]
fn the_ports_are_free_again_after_the_end() {
    let house = House::new();
    let ports: [u16; 3] = free_ports();
    let mut web = house.container(&house.sidecar("web").on_ports(ports));
    for _ in 0..2 {
        let tree = web.start();
        web.start_again();
        terok_tests::eventually::eventually("the tree is gone", || tree.is_gone());
    }
    assert!(!house.diary().contains("another process has this port"), "{}", house.diary());
}

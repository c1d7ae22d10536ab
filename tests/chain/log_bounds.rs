//! The log of a container is bounded: a client cannot fill the disk by provoking lines, and good
//! requests leave none.

use std::io::Write;

use terok_shared::service::Service;
use terok_tests::agent;
use terok_tests::eventually::eventually;
use terok_tests::house::House;
use terok_tests::stream::Stream;
use terok_tests::upstream::Upstream;
use terok_tests::{fixtures, http};

#[test]
fn a_client_that_provokes_lines_is_not_listened_to_for_ever() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    web.start_serving(&[Service::Signer]);
    let signer = web.endpoint(Service::Signer);
    for _ in 0..600 {
        let mut stream = Stream::connect(&signer).unwrap();
        // A token of no length; that it is refused may be noticed before it is written.
        let _ = stream.write_all(&agent::handshake(""));
    }
    eventually("the signer says that it goes quiet", || web.log().contains("are suppressed"));
    let lines = web.log().lines().filter(|line| line.contains(" signer: ")).count();
    assert!(lines <= 2 * 201, "{lines} lines");
}

#[test]
fn a_good_request_leaves_no_line_in_the_log() {
    let house = House::new();
    let upstream = Upstream::start();
    house.write_routes(&upstream.routes());
    let web = house.container(&house.sidecar("web"));
    web.start_serving(&[Service::Keeper, Service::Broker, Service::Signer]);
    let ask = || {
        let broker = web.endpoint(Service::Broker);
        assert_eq!(http::get_with(&broker, "/", &fixtures::token("fake")).unwrap().status, 200);
        let signer = web.endpoint(Service::Signer);
        let token = fixtures::token("ssh");
        assert_eq!(agent::Agent::connect(&signer, &token).unwrap().identities().unwrap(), 2);
    };
    ask();
    let before = web.log();
    (0..10).for_each(|_| ask());
    assert_eq!(web.log(), before);
    eventually("each has its line in the audit", || house.audit().len() >= 11);
}

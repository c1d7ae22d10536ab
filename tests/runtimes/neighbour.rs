//! The containers of one pod all carry the pod's annotation: the first to start has the sidecar's
//! one supervisor, and the others share its sockets.

use terok_shared::service::Service;
use terok_tests::eventually::eventually;
use terok_tests::house::House;
use terok_tests::http;
use terok_tests::runtime::{Runtime, Stage};

#[test]
fn the_second_container_of_a_pod_starts_and_shares_the_first_ones_services() {
    let house = House::new();
    let sidecar = house.sidecar("pod").with("required", true);
    let (first, second) = (house.container(&sidecar), house.container(&sidecar));
    let tree = first.start();
    let run = second.hook(Runtime::Runc, Stage::CreateRuntime);
    assert!(run.status.success(), "{run:?}");
    assert!(run.said.contains("serves this sidecar already"), "{run:?}");
    assert!(second.living().is_none());

    let health = http::get(&second.endpoint(Service::Broker), "/-/health", &[]).unwrap();
    assert_eq!(health.status, 200);
    second.hook(Runtime::Runc, Stage::Poststop);
    assert!(tree.parent.is_alive(), "the end of the second is not the end of the first");
    assert!(second.socket(Service::Broker).exists());
}

#[test]
fn after_the_first_has_ended_the_next_one_to_start_gets_a_supervisor_of_its_own() {
    let house = House::new();
    let sidecar = house.sidecar("pod");
    let (mut first, second) = (house.container(&sidecar), house.container(&sidecar));
    let tree = first.start();
    first.die();
    eventually("the first supervisor ends", || tree.is_gone());
    assert_ne!(second.start().parent, tree.parent);
}

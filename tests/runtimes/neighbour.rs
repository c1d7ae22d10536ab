//! The containers of one pod all carry the pod's annotation: the first to start has the sidecar's
//! one supervisor, and the others share its sockets.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect};
use rustix::process::Signal;
use terok_shared::service::Service;
use terok_tests::eventually::eventually;
use terok_tests::house::House;
use terok_tests::http;
use terok_tests::runtime::{Runtime, Stage};
use terok_tests::stream::free_ports;
use terok_tests::tree;

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

/// Their ports tell nothing of who serves them, so the pid files are asked.
#[test]
fn the_second_container_of_a_pod_in_tcp_mode_shares_the_first_ones_services_too() {
    let house = House::new();
    let sidecar = house.sidecar("pod").on_ports(free_ports()).with("required", true);
    let (first, second) = (house.container(&sidecar), house.container(&sidecar));
    first.start();
    let run = second.hook(Runtime::Runc, Stage::CreateRuntime);
    assert!(run.status.success(), "{run:?}");
    assert!(run.said.contains("serves this sidecar already"), "{run:?}");
    assert!(second.living().is_none());
}

/// The first one's supervisor was killed and left its sockets: nobody serves there.
#[test]
fn sockets_that_nobody_serves_do_not_keep_the_second_container_from_a_supervisor() {
    let house = House::new();
    let sidecar = house.sidecar("pod").with("required", true);
    let (first, second) = (house.container(&sidecar), house.container(&sidecar));
    let tree = first.start();
    tree.parent.kill().unwrap();
    eventually("the first supervisor is gone", || tree.is_gone());
    assert!(second.socket(Service::Broker).exists());
    second.start();
    let health = http::get(&first.endpoint(Service::Broker), "/-/health", &[]).unwrap();
    assert_eq!(health.status, 200);
}

/// podman holds the second container's lock while its poststop runs. Who connects to a socket whose
/// queue is full waits until there is room, for ever if the first container likes.
#[test]
fn a_container_that_fills_the_queues_does_not_delay_the_end_of_the_other_one() {
    let house = House::new();
    let sidecar = house.sidecar("pod");
    let (first, mut second) = (house.container(&sidecar), house.container(&sidecar));
    let tree = first.start_serving(&[Service::Keeper, Service::Broker]);
    assert!(second.hook(Runtime::Runc, Stage::CreateRuntime).status.success());
    let broker = tree.child(Service::Broker).expect("it is ready");
    tree::signal(broker, Signal::STOP);
    let waiting = fill_the_queue(&first.socket(Service::Broker));
    println!("{} clients wait", waiting.len());

    second.die();
    let run = second.hook(Runtime::Runc, Stage::Poststop);
    assert!(run.status.success() && run.took < Duration::from_secs(1), "{run:?}");
    assert!(tree.parent.is_alive() && first.socket(Service::Broker).exists());
    drop(waiting);
    tree::signal(broker, Signal::CONT);
}

/// Connects until the kernel says that the next one would have to wait (connect(2), EAGAIN).
fn fill_the_queue(socket: &Path) -> Vec<OwnedFd> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let address = UnixAddr::new(socket).unwrap();
    let client = || {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let client =
            nix::sys::socket::socket(AddressFamily::Unix, SockType::Stream, flags, None).unwrap();
        match connect(client.as_raw_fd(), &address) {
            Ok(()) => Some(client),
            Err(nix::Error::EAGAIN) => None,
            Err(why) => panic!("{why}"),
        }
    };
    std::iter::from_fn(client).collect()
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

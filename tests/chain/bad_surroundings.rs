//! A good sidecar in a bad place: ports taken, paths too long, programs missing. One service's
//! trouble costs that service alone, unless the container requires them all.

use std::net::{Ipv4Addr, TcpListener};

use terok_shared::service::Service;
use terok_tests::container::Container;
use terok_tests::house::House;
use terok_tests::http;
use terok_tests::programs::{HOOK, SUPERVISOR};
use terok_tests::runtime::{Runtime, Stage};
use terok_tests::sidecar::Sidecar;
use terok_tests::stream::free_ports;

#[track_caller]
fn create(web: &Container<'_>, status: i32, words: &[&str]) {
    let run = web.hook(Runtime::Runc, Stage::CreateRuntime);
    assert_eq!(run.status.code(), Some(status), "{run:?}");
    let diary = web.house().diary();
    for word in words {
        assert!(diary.contains(word), "{word:?} is not in {diary:?}");
    }
}

/// The same trouble twice: without and with `required`.
fn both_ways(spoil: impl Fn(&House, Sidecar) -> Sidecar, words: &[&str], served: bool) {
    for required in [false, true] {
        let house = House::with_own_programs();
        let sidecar = spoil(&house, house.sidecar("web")).with("required", required);
        let web = house.container(&sidecar);
        create(&web, i32::from(required), words);
        if served {
            let health = http::get(&web.endpoint(Service::Broker), "/-/health", &[]).unwrap();
            assert_eq!(health.status, 200);
        }
    }
}

#[test]
fn a_taken_port_is_named_and_the_others_serve() {
    let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = holder.local_addr().unwrap().port();
    let tcp = |_: &House, sidecar: Sidecar| {
        let [broker, gate] = free_ports();
        sidecar.on_ports([broker, taken, gate])
    };
    both_ways(tcp, &[&format!("signer: listen on 127.0.0.1:{taken}"), "hint:"], true);
}

#[test]
fn a_missing_port_is_named_and_the_others_serve() {
    let tcp =
        |_: &House, sidecar: Sidecar| sidecar.on_ports(free_ports()).without("ssh_signer_port");
    both_ways(tcp, &["signer:", "`ssh_signer_port` is missing"], true);
}

#[test]
fn a_socket_path_that_is_too_long_is_refused_before_anything_is_bound() {
    let long = |house: &House, sidecar: Sidecar| {
        let directory = house.path().join("r".repeat(100));
        sidecar.with("runtime_dir", directory.to_str().unwrap())
    };
    both_ways(long, &["signer: socket path", "at most 107", "hint:"], false);
}

#[test]
fn only_the_service_whose_socket_path_is_too_long_is_refused() {
    let signer = "run/web/signer/ssh-agent.sock".len();
    let just = |house: &House, sidecar: Sidecar| {
        // The signer's path is the longest; the broker's still fits.
        let fill = 108 - signer - house.path().as_os_str().len() - 2;
        let directory = house.path().join("r".repeat(fill));
        sidecar.with("runtime_dir", directory.to_str().unwrap())
    };
    both_ways(just, &["signer: socket path", "has 108 bytes", "supervisor", "listening"], true);
}

#[test]
fn something_that_is_no_socket_is_not_removed() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let socket = web.socket(Service::Signer);
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    std::fs::write(&socket, "precious").unwrap();
    create(&web, 0, &["signer: socket", "no socket is in the way"]);
    assert_eq!(std::fs::read_to_string(&socket).unwrap(), "precious");
}

#[test]
fn a_second_container_of_the_same_name_does_not_take_the_sockets_over() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let tree = web.start();
    let twin = house.container(&house.sidecar("web"));
    create(&twin, 0, &["serves this sidecar already"]);
    assert!(tree.parent.is_alive() && web.socket(Service::Signer).exists());
    assert!(twin.living().is_none());
}

#[test]
fn a_missing_supervisor_is_named_with_a_way_out() {
    let missing = |house: &House, sidecar: Sidecar| {
        house.programs().remove(SUPERVISOR);
        sidecar
    };
    both_ways(missing, &[SUPERVISOR, "No such file", "hint: run terokctl setup again"], false);
}

/// The container's start waits two seconds and no longer, however the supervisor hangs; where it is
/// required there is no start.
#[test]
fn a_supervisor_that_never_listens_is_waited_for_two_seconds() {
    for required in [false, true] {
        let house = House::with_own_programs();
        house.programs().replace(SUPERVISOR, "exec sleep 5");
        let web = house.container(&house.sidecar("web").with("required", required));
        let run = web.hook(Runtime::Runc, Stage::CreateRuntime);
        assert_eq!(run.status.code(), Some(i32::from(required)), "{run:?}");
        let took = run.took.as_millis();
        assert!((2000..4000).contains(&took), "{took} ms");
        assert!(run.said.contains("was not listening after 2 s"), "{run:?}");
        assert!(house.diary().contains("was not listening after 2 s"), "{}", house.diary());
    }
}

#[test]
fn a_missing_service_program_costs_only_that_service() {
    let missing = |house: &House, sidecar: Sidecar| {
        house.programs().remove(Service::Signer.program());
        sidecar
    };
    both_ways(missing, &["signer: find program", "hint:"], true);
}

#[test]
fn a_replaced_hook_still_finds_its_siblings() {
    let house = House::with_own_programs();
    let built = terok_tests::programs::Programs::built();
    // An upgrade in place: another file under the same name.
    house.programs().remove(HOOK);
    std::fs::copy(built.path(HOOK), house.programs().path(HOOK)).unwrap();
    house.container(&house.sidecar("web")).start();
}

//! The end: with the container, on a signal, by poststop; in any order, twice or not at all.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use terok_shared::pid_file::{self, Living};
use terok_shared::process::Process;
use terok_shared::service::Service;
use terok_tests::container::Container;
use terok_tests::eventually::{eventually, within};
use terok_tests::house::House;
use terok_tests::runtime::{Runtime, Stage};
use terok_tests::stream::Stream;
use terok_tests::tree::{self, Tree};

/// The promise is 200 ms; a loaded machine gets ten times as much.
const BOUND: Duration = Duration::from_secs(2);

fn sockets(container: &Container<'_>) -> Vec<PathBuf> {
    [Service::Broker, Service::Signer, Service::Gate].map(|s| container.socket(s)).to_vec()
}

fn gone(tree: Tree) {
    let took = within(BOUND, "the tree is gone", || tree.is_gone());
    println!("the tree was gone after {took:?}");
}

/// What is left after an orderly end: the operator's files, and nothing that runs.
fn assert_tidy(container: &Container<'_>) {
    let sockets = sockets(container);
    for socket in &sockets {
        assert!(!socket.exists(), "{}", socket.display());
        assert!(socket.parent().unwrap().is_dir(), "a bind mount's source must stay");
    }
    assert!(!container.pid_file().exists());
    assert!(!container.house().state_root().status_file(container.id()).exists());
    assert!(container.sidecar().exists());
}

#[test]
fn the_containers_death_alone_ends_everything() {
    let house = House::new();
    let mut web = house.container(&house.sidecar("web").with_gate(&house));
    let tree = web.start_serving(&Service::ALL);
    web.die();
    gone(tree);
    assert_tidy(&web);
    assert!(!web.log().contains("did not end in time"), "{}", web.log());
}

#[test]
fn the_end_does_not_wait_for_the_key_derivation() {
    let house = House::new();
    let mut web = house.container(&house.sidecar("web").with_gate(&house));
    let tree = web.start();
    let _client = Stream::connect(&web.endpoint(Service::Signer)).unwrap();
    eventually("the keeper is at it", || tree.child(Service::Keeper).is_some());
    web.die();
    gone(tree);
    assert_tidy(&web);
}

#[test]
fn the_end_does_not_wait_for_clients() {
    let house = House::new();
    let mut web = house.container(&house.sidecar("web").with_gate(&house));
    let tree = web.start_serving(&Service::ALL);
    let services = [Service::Broker, Service::Signer, Service::Gate];
    let _idle = services.map(|service| Stream::connect(&web.endpoint(service)).unwrap());
    web.die();
    gone(tree);
    assert_tidy(&web);
}

#[test]
fn sigterm_ends_everything_though_the_container_lives() {
    let house = House::new();
    let web = house.container(&house.sidecar("web").with_gate(&house));
    let tree = web.start_serving(&Service::ALL);
    tree::signal(tree.parent, Signal::TERM);
    gone(tree);
    assert_tidy(&web);
}

#[test]
fn a_signal_right_after_the_start_is_an_orderly_end() {
    let house = House::new();
    for round in 0..10 {
        let web = house.container(&house.sidecar(&format!("web{round}")).with_gate(&house));
        let tree = web.start();
        tree::signal(tree.parent, Signal::TERM);
        gone(tree);
        assert_tidy(&web);
    }
}

#[test]
fn poststop_after_the_end_says_so_once_per_call() {
    for runtime in Runtime::ALL {
        let house = House::new();
        let mut web = house.container(&house.sidecar("web").with_gate(&house));
        let tree = web.start();
        web.die();
        gone(tree);
        for _ in 0..2 {
            let run = web.hook(runtime, Stage::Poststop);
            assert!(run.status.success(), "{run:?}");
        }
        assert_tidy(&web);
        let said = house.diary().matches("supervisor had already ended").count();
        assert_eq!(said, 2, "{}", house.diary());
    }
}

#[test]
fn poststop_kills_a_supervisor_that_does_not_react() {
    let house = House::new();
    let mut web = house.container(&house.sidecar("web").with_gate(&house));
    let tree = web.start_serving(&Service::ALL);
    // Stopped, it notices neither the death nor SIGTERM.
    tree::signal(tree.parent, Signal::STOP);
    web.die();
    let run = web.hook(Runtime::Crun, Stage::Poststop);
    assert!(run.took < BOUND + Duration::from_millis(500), "{run:?}");
    assert!(run.status.success() && tree.is_gone(), "{run:?}");
    assert_tidy(&web);
    assert!(house.diary().contains("killed after"), "{}", house.diary());
}

#[test]
fn poststop_without_a_sidecar_ends_the_tree_and_the_pid_file() {
    let house = House::new();
    let mut web = house.container(&house.sidecar("web"));
    let tree = web.start();
    let socket = web.socket(Service::Signer);
    fs::remove_file(web.sidecar()).unwrap();
    web.die();
    assert!(web.hook(Runtime::Runc, Stage::Poststop).status.success());
    gone(tree);
    assert!(!web.pid_file().exists() && !socket.exists());
}

#[test]
fn children_die_with_a_killed_parent_and_poststop_sweeps_what_it_left() {
    let house = House::new();
    let mut web = house.container(&house.sidecar("web").with_gate(&house));
    let tree = web.start_serving(&Service::ALL);
    tree.parent.kill().unwrap();
    gone(tree);
    let sockets = sockets(&web);
    assert!(sockets.iter().all(|socket| socket.exists()) && web.pid_file().exists());
    web.die();
    assert!(web.hook(Runtime::Crun, Stage::Poststop).status.success());
    assert_tidy(&web);
}

#[test]
fn a_start_after_a_killed_parent_takes_over_its_stale_sockets() {
    let house = House::new();
    let mut web = house.container(&house.sidecar("web").with_gate(&house));
    let tree = web.start();
    tree.parent.kill().unwrap();
    gone(tree);
    web.start_again();
    let second = web.start_serving(&Service::ALL);
    assert_ne!(second.parent, tree.parent);
}

#[test]
fn a_container_started_again_is_served_again() {
    let house = House::new();
    let mut web = house.container(&house.sidecar("web").with_gate(&house));
    for _ in 0..2 {
        let tree = web.start();
        sockets(&web).iter().for_each(|socket| assert!(socket.exists()));
        web.start_again();
        gone(tree);
        assert!(web.hook(Runtime::Crun, Stage::Poststop).status.success());
    }
    assert_tidy(&web);
}

#[test]
fn a_late_poststop_leaves_the_next_run_alone() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let tree = web.start();
    assert!(web.hook(Runtime::Crun, Stage::Poststop).status.success());
    assert!(house.diary().contains("late poststop ignored"), "{}", house.diary());
    assert!(tree.parent.is_alive() && web.pid_file().exists());
    assert!(web.socket(Service::Signer).exists());
}

#[test]
fn a_pid_file_that_names_another_process_signals_nobody() {
    let house = House::new();
    let mut web = house.container(&house.sidecar("web"));
    fs::create_dir(house.state_root().pids()).unwrap();
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    let other = Process::of(i32::try_from(stranger.id()).unwrap()).unwrap();
    let reused = Process::recorded(other.pid(), other.started() - 1);
    web.die();
    // Another program's pid file, a number used again, no number, every process there is.
    let texts = [format!("{}\n", other.pid()), "-1\n".into(), "0\n".into(), "x".into()];
    for text in texts {
        fs::write(web.pid_file(), text).unwrap();
        assert!(web.hook(Runtime::Crun, Stage::Poststop).status.success());
        assert!(!web.pid_file().exists());
    }
    pid_file::write(&web.pid_file(), Living { supervisor: reused, container: None }).unwrap();
    assert!(web.hook(Runtime::Crun, Stage::Poststop).status.success());
    let untouched = stranger.try_wait().unwrap().is_none();
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert!(untouched);
}

#[test]
fn a_pid_file_that_names_another_process_does_not_stop_a_start() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    fs::create_dir(house.state_root().pids()).unwrap();
    fs::write(web.pid_file(), format!("{}\n", web.pid())).unwrap();
    let tree = web.start();
    assert_ne!(tree.parent.pid(), web.pid());
    eventually("its own pid is in the file", || {
        fs::read_to_string(web.pid_file()).unwrap().starts_with(&format!("{}\n", tree.parent.pid()))
    });
}

//! Nobody waits for us: whatever ends a container, its supervisor and every service are gone 200 ms
//! later, poststop or not.
//!
//! Of three ends the fastest is judged, because other work of the machine delays the others.

use std::time::{Duration, Instant};

use terok_shared::process::Process;
use terok_shared::service::Service;
use terok_tests::eventually::{eventually, found};
use terok_tests::tree::{self, Tree};

use crate::container::{Container, SMALL_IMAGE, launch_words, processes_naming};
use crate::mode::Mode;
use crate::operator::{self, Operator};

const PROMISE: Duration = Duration::from_millis(200);
const ROUNDS: usize = 3;
const LONG: Duration = Duration::from_secs(5);

/// A small container with three services that have said that they serve.
fn serving<'o>(operator: &'o Operator, name: &str) -> (Container<'o>, Tree) {
    let mut words = launch_words(name, Mode::Socket);
    let podman = ["--", "--detach", "--pull=never", "--network=none", SMALL_IMAGE, "sleep", "900"];
    words.extend(podman.map(str::to_owned));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let printed = operator.terokctl_ok(&words);
    let container = Container::known(operator, name, printed.lines().last().unwrap_or_default());
    for service in Service::ALL {
        let words = format!("{service} is ready");
        eventually(&words, || container.log().contains(&words));
    }
    let tree = container.tree();
    (container, tree)
}

/// The container's first process, which the supervisor watches.
fn init_of(operator: &Operator, name: &str) -> Process {
    let pid = operator.podman_ok(&["inspect", "--format", "{{.State.Pid}}", name]);
    Process::of(pid.parse().unwrap()).unwrap()
}

fn conmon_of(operator: &Operator, name: &str) -> Process {
    let pid = operator.podman_ok(&["inspect", "--format", "{{.State.ConmonPid}}", name]);
    Process::of(pid.parse().unwrap()).unwrap()
}

/// From now until nobody of the tree is left.
fn until_gone(tree: Tree) -> Duration {
    let began = Instant::now();
    while !tree.is_gone() && began.elapsed() < LONG {
        std::thread::sleep(Duration::from_millis(1));
    }
    began.elapsed()
}

#[track_caller]
fn assert_prompt(what: &str, mut ends: Vec<Duration>) {
    ends.sort();
    println!("{what}: {ends:?}");
    assert!(ends[0] <= PROMISE, "{what}: {ends:?}");
}

#[test]
fn a_killed_containers_supervisor_ends_at_once_and_conmon_does_not_stay_for_it() {
    let Some(operator) = operator::at_work() else { return };
    let ends = (0..ROUNDS).map(|round| {
        let name = format!("prompt-{round}");
        let (_container, tree) = serving(&operator, &name);
        let conmon = conmon_of(&operator, &name);
        init_of(&operator, &name).kill().unwrap();
        let took = until_gone(tree);
        // What it does now, its own clean-up, is not ours.
        eventually("conmon ends", || !conmon.is_alive());
        took
    });
    assert_prompt("after the container's death", ends.collect());
}

#[test]
fn without_conmon_and_poststop_the_containers_death_suffices() {
    let Some(operator) = operator::at_work() else { return };
    let ends = (0..ROUNDS).map(|round| {
        let name = format!("prompt-alone-{round}");
        let (container, tree) = serving(&operator, &name);
        conmon_of(&operator, &name).kill().unwrap();
        let init = init_of(&operator, &name);
        assert!(tree.parent.is_alive(), "conmon's death alone ends nothing");
        init.kill().unwrap();
        let took = until_gone(tree);
        container.expect_gone(tree);
        let poststop = |line: &String| line.contains("container stopped");
        assert!(!operator.diary_of(&container.id()).iter().any(poststop));
        took
    });
    assert_prompt("after the container's death, conmon killed before", ends.collect());
}

/// The runtime finds out after createRuntime, and poststop never comes.
#[test]
fn a_command_that_cannot_be_executed_keeps_no_supervisor() {
    let Some(operator) = operator::at_work() else { return };
    let ends = (0..ROUNDS).map(|round| {
        let name = format!("prompt-none-{round}");
        let id_file = operator.home().join(format!("{name}.id"));
        let mut words = launch_words(&name, Mode::Socket);
        let podman = ["--", "--detach", "--pull=never", "--network=none", "--cidfile"];
        words.extend(podman.map(str::to_owned));
        words.extend([id_file.to_str().unwrap(), SMALL_IMAGE, "/no/such"].map(str::to_owned));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = operator.terokctl(&words);
        let began = Instant::now();
        assert_eq!(output.status.code(), Some(127));
        let id = std::fs::read_to_string(id_file).unwrap();
        while !processes_naming(&id).is_empty() && began.elapsed() < LONG {
            std::thread::sleep(Duration::from_millis(1));
        }
        let took = began.elapsed();
        assert!(operator.diary_of(&id).iter().any(|line| line.contains("listening after")));
        operator.podman(&["rm", "--force", "--ignore", &name]);
        operator.terokctl_ok(&["cleanup", &name]);
        took
    });
    assert_prompt("after podman's word that the command cannot be executed", ends.collect());
}

/// One that notices nothing is what poststop is for; no child outlives its parent by more.
#[test]
fn a_killed_parent_takes_every_service_along_at_once() {
    let Some(operator) = operator::at_work() else { return };
    let ends = (0..ROUNDS).map(|round| {
        let (_container, tree) = serving(&operator, &format!("prompt-orphans-{round}"));
        let services = Service::ALL.map(|service| found("it runs", || tree.child(service)));
        assert!(services.iter().all(|service| tree::session(*service) == Some(tree.parent.pid())));
        tree.parent.kill().unwrap();
        until_gone(tree)
    });
    assert_prompt("after the parent's death", ends.collect());
}

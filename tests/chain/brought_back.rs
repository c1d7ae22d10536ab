//! A supervisor that was killed takes its services along; the container runs on, and the operator,
//! or the next hook, brings the whole tree back. What was left behind is found and removed.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use rustix::process::Signal;
use serde_json::Value;
use terok_shared::layout;
use terok_shared::process::Process;
use terok_shared::service::Service;
use terok_tests::container::Container;
use terok_tests::eventually::eventually;
use terok_tests::house::House;
use terok_tests::http;
use terok_tests::runtime::{Runtime, Stage};
use terok_tests::terokctl::{terokctl, terokctl_ok};
use terok_tests::tree::{self, Tree};

/// Kills the parent and waits until its children have gone with it.
#[track_caller]
fn kill(tree: Tree) {
    tree.parent.kill().unwrap();
    eventually("all of the tree has gone", || tree.is_gone());
}

#[track_caller]
fn serves_again(web: &Container<'_>, before: Tree) {
    let now = web.living().expect("a supervisor").supervisor;
    assert_ne!(now, before.parent);
    let answer = http::get(&web.endpoint(Service::Broker), "/-/health", &[]).unwrap();
    assert_eq!(answer.status, 200);
}

/// All findings of a doctor, and whether it said that something is broken.
fn doctor(house: &House, words: &[&str]) -> (Vec<Value>, bool) {
    let output = terokctl(house, &[&["doctor", "--json"], words].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    (report["findings"].as_array().unwrap().clone(), !output.status.success())
}

fn about<'f>(findings: &'f [Value], words: &str) -> Option<&'f Value> {
    findings.iter().find(|finding| finding["what"].as_str().is_some_and(|w| w.contains(words)))
}

#[test]
fn respawn_brings_a_killed_tree_back() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let tree = web.start_serving(&[Service::Broker]);
    kill(tree);
    let told = terokctl_ok(&house, &["status"]);
    assert!(told.contains("unsupervised") && told.contains("terokctl respawn web"), "{told}");
    let said = terokctl_ok(&house, &["respawn", "web"]);
    assert!(said.contains("serves web again"), "{said}");
    serves_again(&web, tree);
    assert!(terokctl_ok(&house, &["respawn", "web"]).contains("nothing to do"));
}

#[test]
fn doctor_finds_the_unserved_container_and_fixes_it() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let tree = web.start_serving(&[Service::Broker]);
    kill(tree);
    let (findings, broken) = doctor(&house, &[]);
    let finding = about(&findings, "web runs without its supervisor").expect("a finding");
    assert!(broken && finding["grade"] == "broken" && finding["fixable"] == true, "{finding}");
    let (findings, _) = doctor(&house, &["--fix"]);
    let finding = about(&findings, "web runs without its supervisor").expect("still told");
    assert!(finding["fixed"]["Ok"].as_str().is_some_and(|s| s.contains("again")), "{finding}");
    serves_again(&web, tree);
    let (findings, _) = doctor(&house, &[]);
    assert!(about(&findings, "nothing left behind").is_some(), "{findings:?}");
}

#[test]
fn the_next_hook_brings_it_back_too() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let tree = web.start_serving(&[Service::Broker]);
    kill(tree);
    assert!(web.hook(Runtime::Runc, Stage::CreateRuntime).status.success());
    serves_again(&web, tree);
}

#[test]
fn files_of_a_dead_supervisor_are_removed_after_their_grace() {
    let house = House::new();
    let mut web = house.container(&house.sidecar("web"));
    kill(web.start_serving(&[Service::Broker]));
    web.die();
    let words = "pid or status file of a dead supervisor";
    assert!(about(&doctor(&house, &["--fix"]).0, words).is_none());
    assert!(web.pid_file().exists());
    // As one that was killed while it wrote.
    fs::write(layout::draft(&web.pid_file()), "").unwrap();
    let past = SystemTime::now() - Duration::from_secs(100);
    for entry in fs::read_dir(house.state_root().pids()).unwrap() {
        File::options()
            .write(true)
            .open(entry.unwrap().path())
            .unwrap()
            .set_modified(past)
            .unwrap();
    }
    let (findings, _) = doctor(&house, &["--fix"]);
    assert_eq!(about(&findings, words).expect("a finding")["fixed"]["Ok"], "removed");
    assert_eq!(fs::read_dir(house.state_root().pids()).unwrap().count(), 0);
    // The container may be started again.
    assert!(web.sidecar().exists());
}

/// A supervisor that was stopped notices nothing; continued, it would end by itself.
#[test]
fn a_tree_that_outlives_its_container_is_ended() {
    let house = House::new();
    let mut web = house.container(&house.sidecar("web"));
    let tree = web.start_serving(&[Service::Broker]);
    tree::signal(tree.parent, Signal::STOP);
    web.die();
    let (findings, _) = doctor(&house, &[]);
    let finding = about(&findings, "lives without its container").expect("a finding");
    assert_eq!(finding["fixable"], true, "{finding}");
    doctor(&house, &["--fix"]);
    eventually("all of the tree has gone", || tree.is_gone());
}

#[test]
fn a_sidecar_that_cannot_be_used_is_broken_and_left_alone() {
    let house = House::new();
    let web = house.container(&house.sidecar("web").with("db_path", "relative"));
    let (findings, broken) = doctor(&house, &["--fix"]);
    let finding = about(&findings, "key `db_path`").expect("a finding");
    assert!(broken && finding["grade"] == "broken" && finding["fixable"] == false, "{finding}");
    assert!(web.sidecar().exists());
}

#[test]
fn a_container_that_has_ended_is_not_respawned() {
    let house = House::new();
    let mut web = house.container(&house.sidecar("web"));
    let tree = web.start_serving(&[Service::Broker]);
    web.die();
    eventually("all of the tree has gone", || tree.is_gone());
    let output = terokctl(&house, &["respawn", "web"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("does not run"), "{said}");
    assert!(said.contains("hint: `podman start web`"), "{said}");
}

#[test]
fn logs_tell_the_whole_story_after_the_end() {
    let house = House::new();
    let mut web = house.container(&house.sidecar("web"));
    let tree = web.start_serving(&[Service::Broker]);
    web.die();
    eventually("all of the tree has gone", || tree.is_gone());
    web.hook(Runtime::Crun, Stage::Poststop);
    let story = terokctl_ok(&house, &["logs", "web"]);
    let at = |words: &str| story.find(words).unwrap_or_else(|| panic!("{words} not in {story}"));
    // Both files tell the time to the second, so the hook's own lines may stand together.
    let log = ["container web is", "listening on broker", "container has ended"];
    let hook = ["hook: supervisor", "hook: container stopped"];
    assert!(log.map(at).is_sorted() && hook.map(at).is_sorted(), "{story}");
    let last = terokctl_ok(&house, &["logs", "web", "-n", "1", "--json"]);
    let last: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(last["program"], "hook");
}

/// What is still running is told by the kernel, not by files.
#[test]
fn status_knows_a_reused_number() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let tree = web.start_serving(&[Service::Broker]);
    kill(tree);
    let me = Process::current().unwrap();
    let forged = format!("{}\n{}\n", me.pid(), me.started() - 1);
    fs::write(web.pid_file(), forged).unwrap();
    let told: Value = serde_json::from_str(&terokctl_ok(&house, &["status", "--json"])).unwrap();
    assert_eq!(told[0]["state"], "stopped", "{told}");
}

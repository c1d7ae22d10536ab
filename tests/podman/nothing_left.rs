//! Containers that end at once, never start or are none of our business leave nothing behind.

use std::fs;
use std::path::{Path, PathBuf};

use terok_tests::eventually::eventually;

use crate::container::{SMALL_IMAGE, launch_words, processes_naming};
use crate::mode::Mode;
use crate::operator::{self, Operator};

/// Runs podman through `terokctl run` and hands back podman's exit status and the container's id.
#[track_caller]
fn run(operator: &Operator, name: &str, words: &[&str]) -> (Option<i32>, String) {
    let id_file = operator.home().join(format!("{name}.id"));
    let mut all = launch_words(name, Mode::Socket);
    let podman = ["--", "--pull=never", "--network=none", "--cidfile", id_file.to_str().unwrap()];
    all.extend(podman.iter().chain(words).map(|&word| word.to_owned()));
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let output = operator.terokctl(&all);
    let id = fs::read_to_string(&id_file)
        .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), id)
}

/// The supervisor of this container was started, and it and its files have gone.
#[track_caller]
fn expect_came_and_went(operator: &Operator, name: &str, id: &str) {
    let diary = operator.diary_of(id);
    assert!(diary.iter().any(|line| line.contains("listening after")), "{diary:?}");
    eventually(&format!("{name}: no process"), || processes_naming(id).is_empty());
    let sockets = operator.runtime_dir().join("run").join(name);
    eventually(&format!("{name}: no socket"), || files_below(&sockets).is_empty());
    let pid_file = operator.state_root().pids().join(format!("supervisor-{id}.pid"));
    eventually(&format!("{name}: no pid file"), || !pid_file.exists());
}

#[track_caller]
fn clean_up(operator: &Operator, name: &str) {
    operator.podman(&["rm", "--force", "--ignore", name]);
    operator.terokctl_ok(&["cleanup", name]);
    assert!(!operator.runtime_dir().join("run").join(name).exists());
}

#[test]
fn a_container_that_ends_at_once_leaves_nothing() {
    let Some(operator) = operator::at_work() else { return };
    let (status, id) = run(&operator, "brief", &["--rm", SMALL_IMAGE, "true"]);
    assert_eq!(status, Some(0));
    expect_came_and_went(&operator, "brief", &id);
    clean_up(&operator, "brief");
}

/// The supervisor is started before the runtime finds out, and poststop never comes.
#[test]
fn a_container_whose_command_cannot_be_executed_leaves_nothing() {
    let Some(operator) = operator::at_work() else { return };
    let (status, id) = run(&operator, "no-command", &["--detach", SMALL_IMAGE, "/no/such/program"]);
    assert_eq!(status, Some(127));
    expect_came_and_went(&operator, "no-command", &id);
    clean_up(&operator, "no-command");
}

#[test]
fn a_container_that_is_killed_leaves_nothing() {
    let Some(operator) = operator::at_work() else { return };
    let (status, id) = run(&operator, "killed", &["--detach", SMALL_IMAGE, "sleep", "900"]);
    assert_eq!(status, Some(0));
    operator.podman_ok(&["kill", "--signal", "KILL", "killed"]);
    expect_came_and_went(&operator, "killed", &id);
    clean_up(&operator, "killed");
}

#[test]
fn a_container_without_our_annotation_is_left_alone() {
    let Some(operator) = operator::at_work() else { return };
    let words = ["run", "--detach", "--pull=never", "--network=none", "--name", "foreign"];
    let id = operator.podman_ok(&[&words[..], &[SMALL_IMAGE, "sleep", "900"]].concat());
    assert_eq!(processes_naming(&id), [""; 0]);
    operator.podman_ok(&["rm", "--force", "--time", "0", "foreign"]);
    assert_eq!(operator.diary_of(&id), [""; 0]);
}

/// Every file below a directory that is not a directory itself.
pub(crate) fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let below = |path: PathBuf| if path.is_dir() { files_below(&path) } else { vec![path] };
    entries.flat_map(|entry| below(entry.path())).collect()
}

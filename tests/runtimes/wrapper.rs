//! `terok-runtime` adds hooks to the containers that ask for us, and is otherwise not there.

use std::fs::{self, File};
use std::io::{Seek, Write};
use std::os::unix::fs::MetadataExt;

use command_fds::{CommandFdExt, FdMapping};
use serde_json::json;

use crate::stand_in::{STATUS, StandIn};

#[test]
fn the_real_runtime_gets_the_same_words_and_its_status_is_ours() {
    let stand_in = StandIn::new();
    let words = ["--root", "/r", "--systemd-cgroup", "kill", "--all", "web", "9"];
    let output = stand_in.wrapper(&words);
    assert_eq!(output.status.code(), Some(STATUS));
    assert_eq!(stand_in.given().unwrap(), words);
}

#[test]
fn an_annotated_container_gets_our_hooks_and_all_else_stays() {
    let stand_in = StandIn::new();
    let mut expected = stand_in.write_annotated();
    assert_eq!(stand_in.create().status.code(), Some(STATUS));
    let hook = stand_in.hook();
    for stage in ["createRuntime", "poststop"] {
        expected["hooks"][stage] = json!([{"path": hook, "args": [hook, stage]}]);
    }
    assert_eq!(stand_in.read_config(), expected);
    let given = stand_in.given().unwrap();
    assert_eq!(given, ["--root", "/r", "create", "--bundle", stand_in.bundle(), "web"]);
}

#[test]
fn a_second_call_changes_nothing() {
    let stand_in = StandIn::new();
    stand_in.write_annotated();
    stand_in.create();
    let once = fs::read(stand_in.config()).unwrap();
    stand_in.create();
    assert_eq!(fs::read(stand_in.config()).unwrap(), once);
}

#[test]
fn the_variable_of_older_docker_becomes_the_annotation_and_leaves_the_container() {
    let stand_in = StandIn::new();
    let variable = format!("TEROK_SANDBOX_SIDECAR={}", stand_in.sidecar().display());
    stand_in.write_config(&json!({"x": "y"}), &["A=1".to_owned(), variable, "B=2".to_owned()]);
    stand_in.create();
    let config = stand_in.read_config();
    let annotations = json!({"x": "y", "terok.sandbox.sidecar": stand_in.sidecar()});
    assert_eq!(config["annotations"], annotations);
    assert_eq!(config["process"]["env"], json!(["A=1", "B=2"]));
    assert!(config["hooks"]["createRuntime"].is_array());
}

#[test]
fn where_the_administrator_says_so_the_variable_is_the_containers_own() {
    let stand_in = StandIn::new();
    let variable = format!("TEROK_SANDBOX_SIDECAR={}", stand_in.sidecar().display());
    let before = stand_in.write_config(&json!({}), &[variable]);
    let words = ["--terok-variable=ignore", "create", "--bundle", stand_in.bundle(), "web"];
    assert_eq!(stand_in.wrapper(&words).status.code(), Some(STATUS));
    assert_eq!(stand_in.read_config(), before);
    assert_eq!(stand_in.given().unwrap(), words[1..]);
}

#[test]
fn a_container_that_is_not_ours_keeps_its_very_file() {
    let stand_in = StandIn::new();
    stand_in.write_config(&json!({"some.other": "x"}), &["PATH=/bin".to_owned()]);
    let before = (fs::read(stand_in.config()).unwrap(), inode(&stand_in));
    assert_eq!(stand_in.create().status.code(), Some(STATUS));
    assert_eq!((fs::read(stand_in.config()).unwrap(), inode(&stand_in)), before);
    assert_eq!(stand_in.diary(), "");
}

#[test]
fn a_command_that_makes_no_container_looks_at_no_bundle() {
    let stand_in = StandIn::new();
    let before = stand_in.write_annotated();
    for command in ["start", "delete", "state", "exec", "spec"] {
        stand_in.wrapper(&[command, "--bundle", stand_in.bundle(), "create"]);
        assert_eq!(stand_in.read_config(), before, "{command}");
    }
}

#[test]
fn a_bundle_that_makes_no_sense_is_the_real_runtimes_to_refuse() {
    let stand_in = StandIn::new();
    for text in ["", "[]", "{\"annotations\":7}", "{\"annotations\":{\"terok.sandbox.sidecar\":7}}"]
    {
        fs::write(stand_in.config(), text).unwrap();
        assert_eq!(stand_in.create().status.code(), Some(STATUS), "{text}");
        assert_eq!(fs::read_to_string(stand_in.config()).unwrap(), text);
    }
    fs::remove_file(stand_in.config()).unwrap();
    assert_eq!(stand_in.create().status.code(), Some(STATUS));
}

/// podman and containerd hand consoles, sockets and pipes down by number.
#[test]
fn inherited_descriptors_reach_the_real_runtime() {
    let stand_in = StandIn::new();
    stand_in.write_annotated();
    let mut file = File::options()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(stand_in.path("descriptor"))
        .unwrap();
    file.write_all(b"through the fifth").unwrap();
    file.rewind().unwrap();
    let mut command = stand_in.command(&["create", "--bundle", stand_in.bundle(), "web"]);
    let handed = FdMapping { parent_fd: file.into(), child_fd: 5 };
    command.fd_mappings(vec![handed]).unwrap();
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "through the fifth");
}

/// containerd can pass a runtime neither options nor variables.
#[test]
fn a_file_beside_the_wrapper_names_the_real_runtime_and_the_root_for_sidecars() {
    let stand_in = StandIn::new();
    let root = stand_in.path("state");
    let text = format!(
        "# this node\nreal-runtime = {}\nonly-below = {}\n",
        stand_in.real_runtime().display(),
        root.display()
    );
    fs::write(stand_in.path("programs/terok-runtime.conf"), text).unwrap();
    stand_in.write_annotated();
    let words = ["create", "--bundle", stand_in.bundle(), "web"];
    let status = stand_in.command(&words).env_remove("TEROK_REAL_RUNTIME").status().unwrap();
    assert_eq!(status.code(), Some(STATUS));
    let hook = stand_in.hook();
    let args = json!([hook, "createRuntime", "--only-below", root]);
    assert_eq!(stand_in.read_config()["hooks"]["createRuntime"][0]["args"], args);
}

fn inode(stand_in: &StandIn) -> u64 {
    fs::metadata(stand_in.config()).unwrap().ino()
}

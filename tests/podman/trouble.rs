//! Sidecars that cannot be used and annotations meant to harm: the container starts, the diary says
//! why it has no services, and only a sidecar that says `required` keeps it from starting.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use terok_shared::container::ContainerName;

use crate::container::{processes_naming, run_annotated};
use crate::operator::{self, Operator, succeeded};

/// A container with this annotation starts, unserved, and its part of the diary has these words.
#[track_caller]
fn starts_unserved(operator: &Operator, name: &str, value: &str, words: &str) {
    let id = succeeded("podman run", run_annotated(operator, name, value));
    let served = processes_naming(&id);
    operator.podman_ok(&["rm", "--force", "--time", "0", name]);
    assert_eq!(served, [""; 0]);
    let diary = operator.diary_of(&id).join("\n");
    assert!(diary.contains(words), "{words:?} is not in the diary: {diary}");
}

/// A sidecar that is all right but for what the test does to it.
fn sidecar(operator: &Operator, name: &str, content: &str) -> PathBuf {
    let path = operator.state_root().sidecar(&ContainerName::parse(name).unwrap());
    fs::create_dir_all(path.parent().expect("it is in a directory")).unwrap();
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

#[test]
fn hostile_annotations_lead_nowhere() {
    let Some(operator) = operator::at_work() else { return };
    let root = operator.state_root();
    let climbing = format!("{}/../sidecar/x.json", root.sidecars().display());
    for (name, value, words) in [
        ("not-a-sidecar", "/etc/passwd", "sidecar"),
        ("relative", "sidecar/x.json", "absolute"),
        ("climbing", &climbing, ".."),
        ("missing", text(&root.sidecars().join("missing.json")), "missing.json"),
        ("a-device", "/dev/sidecar/../zero", ".."),
    ] {
        starts_unserved(&operator, name, value, words);
    }
}

#[test]
fn a_linked_sidecar_is_refused() {
    let Some(operator) = operator::at_work() else { return };
    let real = sidecar(&operator, "real", "{}");
    let link = real.with_file_name("linked.json");
    symlink(&real, &link).unwrap();
    starts_unserved(&operator, "linked", text(&link), "linked.json");
    fs::remove_file(link).unwrap();
    fs::remove_file(real).unwrap();
}

#[test]
fn a_sidecar_that_others_may_write_is_refused() {
    let Some(operator) = operator::at_work() else { return };
    let path = sidecar(&operator, "shared", "{}");
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    starts_unserved(&operator, "shared", text(&path), "shared.json");
    fs::remove_file(path).unwrap();
}

/// What a container wrote into a shared directory, say: another user of the operator's namespace
/// owns it.
#[test]
fn a_sidecar_of_somebody_else_is_refused() {
    let Some(operator) = operator::at_work() else { return };
    let path = sidecar(&operator, "foreign", "{}");
    operator.podman_ok(&["unshare", "chown", "1:1", text(&path)]);
    starts_unserved(&operator, "foreign", text(&path), "foreign.json: owned by uid 1");
    fs::remove_file(path).unwrap();
}

#[test]
fn unusable_content_is_named_with_its_key() {
    let Some(operator) = operator::at_work() else { return };
    let wrong_type = r#"{"container_name": 7}"#;
    let huge = format!("{{\"x\": \"{}\"}}", "x".repeat(1 << 17));
    for (name, content, words) in [
        ("not-json", "garbage", "not-json.json"),
        ("empty", "", "empty.json"),
        ("wrong-type", wrong_type, "container_name"),
        ("huge", &huge, "huge.json"),
        ("incomplete", r#"{"container_name": "incomplete"}"#, "db_path"),
    ] {
        let path = sidecar(&operator, name, content);
        starts_unserved(&operator, name, text(&path), words);
        fs::remove_file(path).unwrap();
    }
}

#[test]
fn a_required_sidecar_that_cannot_be_used_keeps_the_container_from_starting() {
    let Some(operator) = operator::at_work() else { return };
    let path = sidecar(&operator, "insisting", r#"{"container_name": 7, "required": true}"#);
    let output = run_annotated(&operator, "insisting", text(&path));
    let said = String::from_utf8_lossy(&output.stderr);
    operator.podman(&["rm", "--force", "--ignore", "insisting"]);
    fs::remove_file(path).unwrap();
    assert_eq!(output.status.code(), Some(126), "{said}");
    let diary = fs::read_to_string(operator.state_root().diary()).unwrap();
    assert!(diary.contains("insisting.json") && diary.contains("container_name"), "{diary}");
    assert!(said.contains("insisting.json") && said.contains("container_name"), "{said}");
}

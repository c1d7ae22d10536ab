//! A plain bundle, run by crun and runc themselves: `terokctl hooks inject` is all it takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::machine::Runtime;
use crate::place::{Place, ok};
use crate::skip;

/// A bundle as somebody would write it, whose container makes one request.
pub(crate) fn bundle(place: &Place) -> PathBuf {
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["sh", "-c", place.request()],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "noNewPrivileges": true,
        },
        "root": {"path": place.rootfs()},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "mode=755"]},
            {"destination": "/run/terok", "type": "bind", "source": place.sockets(),
             "options": ["bind", "ro"]},
        ],
        "linux": {"namespaces": [
            {"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"},
            {"type": "network"},
        ]},
    });
    let bundle = place.path("bundle");
    fs::create_dir(&bundle).unwrap();
    fs::write(bundle.join("config.json"), config.to_string()).unwrap();
    bundle
}

fn config(bundle: &Path) -> Value {
    serde_json::from_slice(&fs::read(bundle.join("config.json")).unwrap()).unwrap()
}

fn run(place: &Place, runtime: Runtime) -> Output {
    let bundle = bundle(place);
    place.terokctl(&["hooks", "inject", bundle.to_str().unwrap(), "--sidecar", place.sidecar()]);
    let mut command = runtime.command(place, &skip::program(runtime.name()));
    command.arg("--root").arg(place.path("runtime-state"));
    if runtime == Runtime::Crun {
        command.arg("--cgroup-manager=disabled");
    }
    command.args(["run", "--bundle"]).arg(bundle).arg(place.id()).output().unwrap()
}

#[test]
fn crun_run_of_a_bundle_is_served() {
    if skip::root_with("crun run", &["crun", "busybox", "curl"]) {
        let place = Place::new();
        place.expect_served(&run(&place, Runtime::Crun));
        place.expect_gone();
    }
}

#[test]
fn runc_run_of_a_bundle_is_served() {
    if skip::root_with("runc run", &["runc", "busybox", "curl"]) {
        let place = Place::new();
        place.expect_served(&run(&place, Runtime::Runc));
        place.expect_gone();
    }
}

#[test]
fn injecting_twice_changes_nothing_and_names_what_it_did() {
    if !skip::with("hooks inject", &["busybox", "curl"]) {
        return;
    }
    let place = Place::new();
    let bundle = bundle(&place);
    let mut expected = config(&bundle);
    let words = ["hooks", "inject", bundle.to_str().unwrap()];
    let said = place.terokctl(&[&words[..], &["--sidecar", place.sidecar()]].concat());
    let hook = place.installed("terok-hook");
    assert!(said.contains(hook.to_str().unwrap()) && said.contains(place.sidecar()), "{said}");

    expected["annotations"] = json!({"terok.sandbox.sidecar": place.sidecar()});
    let root = place.state_root();
    let entry = |stage| json!([{"path": hook, "args": [hook, stage, "--state-root", root.path()]}]);
    expected["hooks"] =
        json!({"createRuntime": entry("createRuntime"), "poststop": entry("poststop")});
    assert_eq!(config(&bundle), expected);

    assert!(place.terokctl(&words).contains("already"));
    assert_eq!(config(&bundle), expected);
}

#[test]
fn a_bundle_that_names_no_sidecar_is_told_how_to() {
    if !skip::with("hooks inject", &["busybox", "curl"]) {
        return;
    }
    let place = Place::new();
    let bundle = bundle(&place);
    let before = config(&bundle);
    let terokctl = || place.command(place.terokctl_program());
    let output = terokctl().args(["hooks", "inject"]).arg(&bundle).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("hint:") && said.contains("--sidecar"), "{said}");
    assert_eq!(config(&bundle), before);
    // Named in a way that leads there, it is written in the way that the hook accepts.
    let relative = bundle.join("../state/sidecar/web.json");
    ok(terokctl().args(["hooks", "inject", "--sidecar"]).args([&relative, &bundle]));
    assert_eq!(config(&bundle)["annotations"]["terok.sandbox.sidecar"], place.sidecar());
}

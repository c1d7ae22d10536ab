//! Rootless podman with the wrapper in the runtime's place, and pods of `podman kube play`.
//!
//! `tests/runtimes/suite` runs these as an operator on a machine made for the purpose, once for
//! each runtime; the hooks directory on rootless podman is what `tests/podman` is about.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::json;
use terok_tests::upstream::ANSWER;

use crate::place::{Place, ok};
use crate::skip;

const IMAGE: &str = "localhost/terok-runtimes-test:latest";

/// The runtime, when this is the suite.
fn runtime(what: &str) -> Option<String> {
    let runtime = std::env::var("TEROK_TEST_RUNTIME").ok();
    if runtime.is_none() || nix::unistd::geteuid().is_root() {
        skip::say(what, "not started by tests/runtimes/suite");
        return None;
    }
    runtime
}

fn podman(place: &Place) -> Command {
    place.command(Path::new("podman"))
}

#[test]
fn a_rootless_container_on_the_wrapper_is_served() {
    let Some(runtime) = runtime("rootless podman on the wrapper") else { return };
    let place = Place::new();
    let mut podman = podman(&place);
    place.use_wrapper(&mut podman, &runtime);
    podman.args(["run", "--rm", "--network=none", "--annotation", &place.annotation()]);
    place.expect_served_on_sockets(podman);
}

#[test]
fn a_pod_of_kube_play_with_the_annotation_is_served() {
    if runtime("podman kube play").is_none() {
        return;
    }
    let place = Place::new();
    place.import_into(podman(&place), IMAGE);
    let manifest = place.path("pod.yaml");
    fs::write(&manifest, pod(&place, &[("main", &place.request())])).unwrap();
    ok(podman(&place).args(["kube", "play", "--network=none"]).arg(&manifest));
    let status = ok(podman(&place).args(["wait", "web-main"]));
    let output: Output = podman(&place).args(["logs", "web-main"]).output().unwrap();
    let diary = place.diary();
    assert_eq!(status.trim(), "0", "{output:?}{diary}");
    place.expect_served(&output);
    ok(podman(&place).args(["kube", "down"]).arg(&manifest));
    place.expect_gone();
    ok(podman(&place).args(["rmi", IMAGE]));
}

/// Whichever starts first has the supervisor; the pod's loopback belongs to both.
#[test]
fn two_containers_of_a_pod_of_kube_play_are_served_by_one_supervisor() {
    if runtime("a pod of two containers").is_none() {
        return;
    }
    let place = Place::new();
    place.amend("loopback", json!({"vault": 9419}));
    place.import_into(podman(&place), IMAGE);
    let manifest = place.path("pod.yaml");
    fs::write(&manifest, pod(&place, &[("main", "sleep 60"), ("side", "sleep 60")])).unwrap();
    ok(podman(&place).args(["kube", "play", "--network=none"]).arg(&manifest));
    for request in [place.request(), place.request_on_loopback()] {
        for name in ["web-main", "web-side"] {
            let answer = ok(podman(&place).args(["exec", name, "/bin/sh", "-c", &request]));
            assert_eq!(answer, ANSWER, "{name}: {}", place.diary());
        }
    }
    let diary = place.diary();
    assert_eq!(diary.matches("listening after").count(), 1, "{diary}");
    assert_eq!(diary.matches("serves this sidecar already").count(), 1, "{diary}");
    ok(podman(&place).args(["kube", "down"]).arg(&manifest));
    place.expect_gone();
    ok(podman(&place).args(["rmi", IMAGE]));
}

/// As docs/runtimes.md has it, with these containers and what they run.
fn pod(place: &Place, containers: &[(&str, &str)]) -> String {
    let containers = containers.iter().map(|(name, script)| {
        format!(
            r#"  - name: {name}
    image: {IMAGE}
    imagePullPolicy: Never
    command: ["/bin/sh", "-c", "{script}"]
    volumeMounts:
    - name: terok
      mountPath: /run/terok
      readOnly: true
"#
        )
    });
    format!(
        r#"apiVersion: v1
kind: Pod
metadata:
  name: web
  annotations:
    terok.sandbox.sidecar: {sidecar}
spec:
  restartPolicy: Never
  containers:
{containers}  volumes:
  - name: terok
    hostPath:
      path: {sockets}
      type: Directory
"#,
        sidecar = place.sidecar(),
        containers = containers.collect::<String>(),
        sockets = place.sockets(),
    )
}

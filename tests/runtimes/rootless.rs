//! Rootless podman with the wrapper in the runtime's place, and pods of `podman kube play`.
//!
//! `tests/runtimes/suite` runs these as an operator on a machine made for the purpose, once for
//! each runtime; the hooks directory on rootless podman is what `tests/podman` is about.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

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
    let output = podman(&place)
        .env("CONTAINERS_CONF", place.containers_conf_without_hooks())
        .arg("--runtime")
        .arg(place.installed("terok-runtime"))
        .args(["--runtime-flag", &format!("terok-real-runtime={runtime}")])
        .args(["run", "--rm", "--network=none", "--annotation", &place.annotation()])
        .args(["--volume", &format!("{}:/run/terok:ro", place.sockets())])
        .arg("--rootfs")
        .arg(place.rootfs())
        .args(["sh", "-c", &place.request()])
        .output()
        .unwrap();
    place.expect_served(&output);
    place.expect_gone();
}

#[test]
fn a_pod_of_kube_play_with_the_annotation_is_served() {
    if runtime("podman kube play").is_none() {
        return;
    }
    let place = Place::new();
    let archive = place.path("image.tar");
    ok(Command::new("tar").arg("-C").arg(place.rootfs()).arg("-cf").arg(&archive).arg("."));
    ok(podman(&place).args(["import", "--quiet"]).arg(&archive).arg(IMAGE));
    let manifest = place.path("pod.yaml");
    fs::write(&manifest, pod(&place)).unwrap();
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

/// As docs/kubernetes.md has it.
fn pod(place: &Place) -> String {
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
  - name: main
    image: {IMAGE}
    imagePullPolicy: Never
    command: ["/bin/sh", "-c", "{request}"]
    volumeMounts:
    - name: terok
      mountPath: /run/terok
      readOnly: true
  volumes:
  - name: terok
    hostPath:
      path: {sockets}
      type: Directory
"#,
        sidecar = place.sidecar(),
        request = place.request(),
        sockets = place.sockets(),
    )
}

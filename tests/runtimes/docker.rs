//! Docker with the wrapper as a further runtime (`--add-runtime`), started by hand on sockets of
//! its own. Debian's Docker is older than `docker run --annotation`: the sidecar's path goes in as
//! a variable, which the container itself does not see.

use std::process::Command;

use serde_json::{Value, json};

use crate::containerd::{self, Daemon};
use crate::machine::Runtime;
use crate::place::{Place, ok};
use crate::skip;

pub(crate) const PROGRAMS: [&str; 7] =
    ["dockerd", "docker", "containerd", "containerd-shim-runc-v2", "runc", "busybox", "curl"];
const IMAGE: &str = "terok-runtimes-test";

fn docker(place: &Place) -> Command {
    let mut command = Runtime::Runc.command(place, &skip::program("docker"));
    command.args(["--host", &host(place)]);
    command
}

fn socket(place: &Place) -> String {
    place.path("docker.sock").to_str().unwrap().to_owned()
}

/// Docker's socket in `place`, as `DOCKER_HOST` and `--host` have it.
pub(crate) fn host(place: &Place) -> String {
    format!("unix://{}", socket(place))
}

fn start(place: &Place) -> Daemon {
    let runtime = format!("terok={}", place.installed("terok-runtime").display());
    start_with(place, &["--add-runtime".to_owned(), runtime], &json!({}))
}

/// With these arguments, and with these members of daemon.json.
pub(crate) fn start_with(place: &Place, arguments: &[String], settings: &Value) -> Daemon {
    let mut command = Command::new(skip::program("dockerd"));
    command
        .args(["--host", &host(place), "--containerd", &containerd::socket(place)])
        .arg("--config-file")
        .arg(place.path("daemon.json"))
        .arg("--data-root")
        .arg(place.path("docker-data"))
        .arg("--exec-root")
        .arg(place.path("docker-exec"))
        .arg("--pidfile")
        .arg(place.path("docker.pid"))
        .args(arguments)
        .args(["--iptables=false", "--bridge=none", "--storage-driver=vfs"]);
    let mut file = daemon_json(place);
    for (key, value) in settings.as_object().into_iter().flatten() {
        file[key] = value.clone();
    }
    std::fs::write(place.path("daemon.json"), file.to_string()).unwrap();
    Daemon::start(command, place.path("docker.log"), &socket(place))
}

/// Keeps an older Docker from making `/etc/docker/key.json`; a newer one makes none, and does not
/// know the member.
fn daemon_json(place: &Place) -> Value {
    let version = ok(Command::new(skip::program("dockerd")).arg("--version"));
    if version.starts_with("Docker version 20.") {
        json!({"deprecated-key-path": place.path("docker-key.json")})
    } else {
        json!({})
    }
}

/// The place's root directory as an image of this name.
pub(crate) fn import(place: &Place, image: &str) {
    place.import_into(docker(place), image);
}

#[test]
fn a_container_of_docker_is_served_and_does_not_see_the_variable() {
    if !skip::root_with("Docker", &PROGRAMS) {
        return;
    }
    let place = Place::new();
    let _containerd = containerd::start(&place);
    let _docker = start(&place);
    import(&place, IMAGE);
    let output = docker(&place)
        .args(["run", "--rm", "--runtime=terok", "--network=none"])
        .args(["--env", &format!("TEROK_SANDBOX_SIDECAR={}", place.sidecar())])
        .args(["--volume", &format!("{}:/run/terok:ro", place.sockets())])
        .args([IMAGE, "sh", "-c", &format!("env; {}", place.request())])
        .output()
        .unwrap();
    place.expect_served(&output);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("HOSTNAME=") && !printed.contains("TEROK_SANDBOX"), "{printed}");
    place.expect_gone();
}

/// As a pod that may mount nothing and is not root: sockets of the host would be out of its reach.
#[test]
fn a_container_without_mounts_rights_or_network_is_served_on_its_own_loopback() {
    if !skip::root_with("Docker", &PROGRAMS) {
        return;
    }
    let place = Place::new();
    place.amend("loopback", json!({"vault": 9419}));
    let _containerd = containerd::start(&place);
    let _docker = start(&place);
    import(&place, IMAGE);
    let output = docker(&place)
        .args(["run", "--rm", "--runtime=terok", "--network=none", "--user=1000:1000"])
        .args(["--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only"])
        .args(["--env", &format!("TEROK_SANDBOX_SIDECAR={}", place.sidecar())])
        .args([IMAGE, "sh", "-c", &place.request_on_loopback()])
        .output()
        .unwrap();
    place.expect_served(&output);
    place.expect_gone();
}

#[test]
fn another_container_of_the_same_docker_is_left_alone() {
    if !skip::root_with("Docker", &PROGRAMS) {
        return;
    }
    let place = Place::new();
    let _containerd = containerd::start(&place);
    let _docker = start(&place);
    import(&place, IMAGE);
    let words = ["run", "--rm", "--runtime=terok", "--network=none", IMAGE, "echo", "hello"];
    assert_eq!(ok(docker(&place).args(words)), "hello\n");
    assert_eq!(place.diary(), "");
}

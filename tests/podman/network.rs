//! The container's own loopback in each kind of network: none, slirp4netns, bridge, pasta; and the
//! host's, which is refused.

use std::process::{Child, Command, Stdio};

use terok_tests::eventually::eventually;

use crate::container::{Container, SMALL_IMAGE};
use crate::operator::{self, Operator, PROVIDER, SCOPE, succeeded};

const ASK: [&str; 5] = ["wget", "-q", "-O", "-", "http://127.0.0.1:9419/-/health"];
const HEALTHY: &str = r#"{"status":"ok"}"#;

/// A launch with a loopback of its own; `--` and the words for podman follow.
fn launch<'w>(name: &'w str, words: &[&'w str]) -> Vec<&'w str> {
    let launch = ["run", name, "--loopback", "--provider", PROVIDER, "--scope", SCOPE];
    [&launch[..], words].concat()
}

/// The first thing that the container does is to ask its broker.
#[track_caller]
fn serves(operator: &Operator, name: &str, network: &str) {
    let podman = ["--", "--rm", "--pull=never", network, SMALL_IMAGE];
    let output = operator.terokctl(&launch(name, &[&podman[..], &ASK].concat()));
    operator.terokctl_ok(&["cleanup", name]);
    assert_eq!(succeeded(network, output), HEALTHY);
}

#[test]
fn a_container_without_a_network_has_its_services() {
    let Some(operator) = operator::at_work() else { return };
    serves(&operator, "net-none", "--network=none");
}

#[test]
fn a_container_behind_slirp4netns_has_its_services() {
    let Some(operator) = operator::at_work() else { return };
    serves(&operator, "net-slirp", "--network=slirp4netns");
}

/// Rootless too, where podman has a plugin for it; as root see tests/runtimes.
#[test]
fn a_container_on_a_bridge_has_its_services() {
    let Some(operator) = operator::at_work() else { return };
    let tried = ["run", "--rm", "--pull=never", "--network=bridge", SMALL_IMAGE, "true"];
    let tried = operator.podman(&tried);
    if !tried.status.success() {
        let why = String::from_utf8_lossy(&tried.stderr).into_owned();
        return println!("skipped: podman makes no bridge here: {why}");
    }
    serves(&operator, "net-bridge", "--network=bridge");
}

/// pasta(1), ended with the test.
struct Pasta(Child);

impl Drop for Pasta {
    fn drop(&mut self) {
        // It ends by itself when its container has gone, sooner or later.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// podman starts pasta itself from version 4.4 on. Before that pasta joins a container that runs,
/// with the options that podman gives it: no port is forwarded either way.
#[test]
fn a_container_behind_pasta_has_its_services() {
    let Some(operator) = operator::at_work() else { return };
    if Command::new("pasta").arg("--version").output().is_err() {
        return println!("skipped: no pasta on this machine (package passt)");
    }
    let podman = ["--", "--detach", "--pull=never", "--network=none", SMALL_IMAGE, "sleep", "60"];
    operator.terokctl_ok(&launch("net-pasta", &podman));
    let pid = operator.podman_ok(&["inspect", "--format", "{{.State.Pid}}", "net-pasta"]);
    let mut pasta = Command::new("pasta");
    pasta.args(["--foreground", "--quiet", "--config-net"]);
    pasta.args(["-t", "none", "-u", "none", "-T", "none", "-U", "none", &pid]);
    let _pasta = Pasta(pasta.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
    let inside = |words: &[&str]| operator.podman(&[&["exec", "net-pasta"], words].concat());
    eventually("pasta gives the container a way out", || {
        let routes = inside(&["ip", "route"]).stdout;
        String::from_utf8_lossy(&routes).contains("default")
    });
    let output = inside(&ASK);
    operator.podman_ok(&["rm", "--force", "--time", "0", "net-pasta"]);
    operator.terokctl_ok(&["cleanup", "net-pasta"]);
    assert_eq!(succeeded("ask behind pasta", output), HEALTHY);
}

/// A helper goes in, binds, passes the sockets out and ends. Whoever talks to the container has the
/// host's network, and nothing in hand that leads into the container's.
#[test]
fn nobody_of_ours_stays_in_the_containers_network() {
    let Some(operator) = operator::at_work() else { return };
    let podman = ["--", "--detach", "--init", "--pull=never", "--network=none", SMALL_IMAGE];
    let id = operator.terokctl_ok(&launch("net-inside", &[&podman[..], &["sleep", "60"]].concat()));
    let id = id.lines().last().unwrap_or_default();
    let container = Container::known(&operator, "net-inside", id);
    assert_eq!(operator.podman_ok(&[&["exec", "net-inside"], &ASK[..]].concat()), HEALTHY);

    let inside = operator.podman_ok(&["inspect", "--format", "{{.State.Pid}}", "net-inside"]);
    // From podman's namespace: the operator may not look at processes that cannot be dumped.
    let look = |words: &[&str]| operator.podman_ok(&[&["unshare"], words].concat());
    let network = |pid: &str| look(&["readlink", &format!("/proc/{pid}/ns/net")]);
    let (inside, outside) = (network(&inside), network("self"));
    assert_ne!(inside, outside);
    for (program, process) in container.tree().members() {
        let pid = process.pid().to_string();
        assert_eq!(network(&pid), outside, "{program}");
        let held = look(&["ls", "-l", &format!("/proc/{pid}/fd")]);
        assert!(!held.contains("net:["), "{program}: {held}");
        let words = process.arguments().unwrap();
        assert!(!words.iter().any(|word| word == b"--bind-inside"), "{program}");
    }
}

/// The container starts, the diary says why it has no loopback of its own, and no port of the host
/// is bound; its other services are there.
#[test]
fn the_hosts_network_has_no_loopback_to_serve() {
    let Some(operator) = operator::at_work() else { return };
    let id_file = operator.home().join("net-host.id");
    let id_file = id_file.to_str().unwrap();
    let podman = ["--", "--pull=never", "--network=host", "--cidfile", id_file, SMALL_IMAGE];
    let output = operator.terokctl(&launch("net-host", &[&podman[..], &ASK].concat()));
    let id = std::fs::read_to_string(id_file).unwrap();
    operator.podman_ok(&["rm", "net-host"]);
    operator.terokctl_ok(&["cleanup", "net-host"]);
    assert!(!output.status.success(), "somebody answers on the host's 127.0.0.1:9419");
    let diary = operator.diary_of(&id).join("\n");
    assert!(diary.contains("shares the host's network"), "{diary}");
    assert!(diary.contains("without --network=host"), "{diary}");
    assert!(diary.contains("listening after"), "{diary}");
}

#[test]
fn a_launch_that_insists_does_not_start_on_the_hosts_network() {
    let Some(operator) = operator::at_work() else { return };
    let podman = ["--required", "--", "--pull=never", "--network=host", SMALL_IMAGE, "true"];
    let output = operator.terokctl(&launch("net-insists", &podman));
    operator.podman(&["rm", "--force", "--ignore", "net-insists"]);
    operator.terokctl_ok(&["cleanup", "net-insists"]);
    assert_eq!(output.status.code(), Some(126));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("shares the host's network"), "{said}");
}

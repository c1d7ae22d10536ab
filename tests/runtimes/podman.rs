//! podman as root, on both runtimes: with the hooks directory that `terokctl setup` registers, and
//! with the wrapper in the runtime's place and no hooks directory at all.

use std::process::Command;

use crate::machine::Runtime;
use crate::place::{Place, ok};
use crate::skip;

pub(crate) const PROGRAMS: [&str; 5] = ["podman", "conmon", "busybox", "curl", "unshare"];

/// How podman comes to call our hooks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    HooksDirectory,
    Wrapper,
}

/// `podman run` with no container named yet, and no network.
fn podman_run(place: &Place, runtime: Runtime, way: Way) -> Command {
    let podman = runtime.command(place, &skip::program("podman"));
    podman_run_in(podman, place, runtime, way, "--network=none")
}

/// The same on what `podman` runs on.
fn podman_run_in(
    podman: Command,
    place: &Place,
    runtime: Runtime,
    way: Way,
    network: &str,
) -> Command {
    let mut command = podman;
    command.args(store(place));
    match way {
        Way::HooksDirectory => {
            command.args(["--runtime", runtime.name()]);
        }
        Way::Wrapper => place.use_wrapper(&mut command, runtime.name()),
    }
    command.args(["run", "--rm", network, "--annotation", &place.annotation()]);
    // This root may lack CAP_SYS_RESOURCE: limits stay as they are.
    command.arg(match runtime {
        Runtime::Crun => "--cgroups=disabled",
        Runtime::Runc => "--pids-limit=-1",
    });
    command.args(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]);
    command
}

/// Options for images and containers of its own, apart from the machine's.
pub(crate) fn store(place: &Place) -> [String; 4] {
    let below = |option, directory| format!("--{option}={}", place.path(directory).display());
    [
        below("root", "store"),
        below("runroot", "runroot"),
        below("tmpdir", "tmpdir"),
        "--storage-driver=vfs".to_owned(),
    ]
}

/// podman with that store, not told what to do yet.
pub(crate) fn in_store(place: &Place) -> Command {
    let mut podman = place.command(&skip::program("podman"));
    podman.args(store(place));
    podman
}

fn serves(runtime: Runtime, way: Way) {
    let programs = [&PROGRAMS[..], &[runtime.name()]].concat();
    if !skip::root_with(&format!("rootful podman on {}", runtime.name()), &programs) {
        return;
    }
    let place = Place::new();
    place.expect_served_on_sockets(podman_run(&place, runtime, way));
}

#[test]
fn a_rootful_container_on_crun_is_served() {
    serves(Runtime::Crun, Way::HooksDirectory);
}

#[test]
fn a_rootful_container_on_runc_is_served() {
    serves(Runtime::Runc, Way::HooksDirectory);
}

#[test]
fn a_rootful_container_on_the_wrapper_around_crun_is_served() {
    serves(Runtime::Crun, Way::Wrapper);
}

#[test]
fn a_rootful_container_on_the_wrapper_around_runc_is_served() {
    serves(Runtime::Runc, Way::Wrapper);
}

/// As a pod with `hostUsers: false`: its root is nobody on the host, where the hook runs as root.
#[test]
fn a_rootful_container_with_its_own_users_is_served_on_its_own_loopback() {
    let programs = [&PROGRAMS[..], &["runc"]].concat();
    if !skip::root_with("rootful podman with a user namespace", &programs) {
        return;
    }
    let place = Place::new();
    place.amend("loopback", serde_json::json!({"vault": 9419}));
    // What the container's root reaches has to be open to that user of the host.
    ok(Command::new("chmod").arg("0711").arg(place.path("")));
    ok(Command::new("chown").args(["-R", "200000:200000"]).arg(place.rootfs()));
    let output = podman_run(&place, Runtime::Runc, Way::HooksDirectory)
        .args(["--uidmap=0:200000:65536", "--gidmap=0:200000:65536"])
        .arg("--rootfs")
        .arg(place.rootfs())
        .args(["sh", "-c", &place.request_on_loopback()])
        .output()
        .unwrap();
    place.expect_served(&output);
    place.expect_gone();
}

/// The bridge lies in a network namespace made for it, which hook and supervisor share: nothing of
/// it stays on the machine. There is no way out of it, so the broker alone is asked.
#[test]
fn a_rootful_container_on_a_bridge_is_served_on_its_own_loopback() {
    let programs = [&PROGRAMS[..], &["runc", "ip", "iptables"]].concat();
    if !skip::root_with("rootful podman on a bridge", &programs) {
        return;
    }
    let place = Place::new();
    place.amend("loopback", serde_json::json!({"vault": 9419}));
    let mut podman = Runtime::Runc.command(&place, &skip::program("unshare"));
    podman.args(["--net", "sh", "-c", "ip link set lo up; exec \"$@\"", "sh", "podman"]);
    podman.arg("--network-config-dir").arg(place.path("networks"));
    let bridge = "--network=bridge";
    let output = podman_run_in(podman, &place, Runtime::Runc, Way::HooksDirectory, bridge)
        .arg("--rootfs")
        .arg(place.rootfs())
        .args(["sh", "-c", "ip route && /bin/curl -sS http://localhost:9419/-/health"])
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(printed.contains("default via"), "not on a bridge: {printed}{said}");
    assert!(printed.ends_with(r#"{"status":"ok"}"#), "{printed}{said}{}", place.diary());
    place.expect_gone();
}

//! The supervisor as a unit of a real `systemd --user`, under real rootless podman; and a container
//! that is itself such a unit's, as Quadlet makes it.
//!
//! `tests/runtimes/suite` runs these as an operator on a machine made for the purpose, where such
//! a manager can be started; each test starts its own.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use terok_shared::container::ContainerId;
use terok_shared::pid_file;
use terok_shared::process::Process;
use terok_tests::eventually::{eventually, found};
use terok_tests::tree;

use crate::place::{Place, ok};
use crate::skip;

const SYSTEMD: &str = "/lib/systemd/systemd";

/// A user's service manager; ends with the test.
struct Manager(Child);

impl Manager {
    fn start(what: &str) -> Option<Self> {
        if std::env::var_os("TEROK_TEST_USER_MANAGER").is_none() {
            skip::say(what, "not started by tests/runtimes/suite with crun and systemd");
            return None;
        }
        let mut command = Command::new(SYSTEMD);
        command.args(["--user", "--log-target=null"]).stdin(Stdio::null()).stdout(Stdio::null());
        let manager = Self(command.spawn().unwrap());
        let socket = runtime_directory().join("systemd/private");
        eventually("the manager answers", || UnixStream::connect(&socket).is_ok());
        Some(manager)
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }

    /// Names of loaded units of ours.
    fn units(&self) -> String {
        let list = ["--user", "--no-legend", "--plain", "--all", "list-units", "terok-*"];
        ok(Command::new("systemctl").args(list))
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        // SIGKILL leaves nothing behind here: each test ends its containers first.
        let _ = self.0.kill();
        let _ = self.0.wait();
        let _ = fs::remove_file(runtime_directory().join("systemd/private"));
    }
}

fn runtime_directory() -> PathBuf {
    std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).expect("the operator has one")
}

fn podman(place: &Place) -> Command {
    place.command(Path::new("podman"))
}

/// `podman run` or `podman create` up to the command.
fn with_container<'c>(command: &'c mut Command, place: &Place) -> &'c mut Command {
    command
        .args(["--network=none", "--annotation", &place.annotation()])
        .args(["--volume", &format!("{}:/run/terok:ro", place.sockets())])
        .arg("--rootfs")
        .arg(place.rootfs())
}

/// Starts one that does nothing and gives its id.
fn idle(place: &Place) -> ContainerId {
    let mut command = podman(place);
    let id =
        ok(with_container(command.args(["run", "--detach", "--init"]), place)
            .args(["sleep", "60"]));
    ContainerId::parse(id.trim()).unwrap()
}

fn remove(place: &Place, id: &ContainerId) {
    ok(podman(place).args(["rm", "--force", "--time=0", id.as_str()]));
}

/// The container's request, from inside.
fn request(place: &Place, id: &ContainerId, words: &str) -> String {
    ok(podman(place).args(["exec", id.as_str(), "sh", "-c", words]))
}

fn supervisor(place: &Place, id: &ContainerId) -> Process {
    let path = place.state_root().pid_file(id);
    // Below the temporary directory the files are this user's own.
    found("a supervisor", || pid_file::living(&path, id)).supervisor
}

#[test]
fn a_unit_serves_the_container_from_outside_its_namespaces_and_ends_with_it() {
    let Some(manager) = Manager::start("a supervisor as a unit") else { return };
    let place = Place::new();
    place.amend("placement", json!("unit"));
    place.amend("loopback", json!({"vault": 9419}));
    let id = idle(&place);
    let parent = supervisor(&place, &id);
    let unit = format!("terok-supervisor-{}.service", id.short());
    assert!(manager.units().contains(&unit), "{}{}", manager.units(), place.diary());
    let cgroup = fs::read_to_string(tree::file(parent, "cgroup")).unwrap();
    assert!(cgroup.contains(&unit), "{cgroup}");
    // conmon adopts orphans and waits for them: this is none of its own.
    assert_eq!(tree::status(parent, "PPid"), manager.pid().to_string());
    assert_eq!(tree::session(parent), Some(parent.pid()));
    let log = place.state_root().container_log(&id);
    assert!(fs::read_to_string(log).unwrap().contains("listening on"));

    request(&place, &id, &place.request());
    request(&place, &id, &place.request_on_loopback());
    let diary = place.diary();
    assert!(diary.contains(&format!("({unit}) listening after")), "{diary}");
    remove(&place, &id);
    place.expect_gone();
    eventually("the unit is forgotten", || manager.units().is_empty());
    let left = fs::read_dir(place.path("run/terok/sandbox")).unwrap().flatten();
    let names: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("hook")), "{names:?}");
}

/// What a login or somebody's shell put into the manager's environment stays there.
#[test]
fn a_unit_has_the_environment_of_a_daemon() {
    let Some(_manager) = Manager::start("a unit's environment") else { return };
    ok(Command::new("systemctl").args(["--user", "set-environment", "API_KEY=precious"]));
    let place = Place::new();
    place.amend("placement", json!("unit"));
    place.amend("allow_debugger", json!(true));
    let id = idle(&place);
    let variables = tree::environment(supervisor(&place, &id));
    for name in variables.keys() {
        let known = ["PATH", "LANG", "HOME", "XDG_RUNTIME_DIR"].contains(&name.as_str());
        assert!(known, "{name}");
    }
    remove(&place, &id);
}

/// The vault's passphrase is in the operator's kernel keyring and nowhere else.
#[test]
fn a_keyring_is_read_by_the_unit_that_a_sidecar_with_keyring_gets() {
    let Some(_manager) = Manager::start("a keyring read by a unit") else { return };
    let place = Place::new();
    place.amend("credentials_use_keyring", json!(true));
    for directory in [runtime_directory(), place.path("run")] {
        // There may be none.
        let _ = fs::remove_dir_all(directory.join("terok/vault-session"));
    }
    let answer = |placement: &str| {
        place.amend("placement", json!(placement));
        let id = idle(&place);
        let words = place.request().replace("-sS", "-s -o /dev/null -w '%{http_code}'");
        let status = request(&place, &id, &words);
        remove(&place, &id);
        status
    };
    assert_eq!(answer("auto"), "200", "{}", place.diary());
    assert_eq!(answer("daemon"), "503");
}

#[test]
fn a_unit_whose_name_is_taken_is_a_daemon_and_the_diary_says_why() {
    let Some(manager) = Manager::start("a unit whose name is taken") else { return };
    let place = Place::new();
    place.amend("placement", json!("unit"));
    let mut command = podman(&place);
    let id = ok(with_container(command.args(["create", "--init"]), &place).args(["sleep", "60"]));
    let id = ContainerId::parse(id.trim()).unwrap();
    let unit = format!("terok-supervisor-{}.service", id.short());
    ok(Command::new("systemd-run").args(["--user", "--unit", &unit, "sleep", "60"]));
    ok(podman(&place).args(["start", id.as_str()]));
    let parent = supervisor(&place, &id);
    assert_ne!(tree::status(parent, "PPid"), manager.pid().to_string());
    let diary = place.diary();
    assert!(diary.contains("a daemon in place of a unit: systemd-run:"), "{diary}");
    request(&place, &id, &place.request());
    remove(&place, &id);
    ok(Command::new("systemctl").args(["--user", "stop", &unit]));
}

/// It takes the connection and says nothing.
#[test]
fn a_manager_that_hangs_is_not_waited_for_longer_than_a_second() {
    if std::env::var_os("TEROK_TEST_USER_MANAGER").is_none() {
        skip::say("a manager that hangs", "not started by tests/runtimes/suite");
        return;
    }
    let directory = runtime_directory().join("systemd");
    fs::create_dir_all(&directory).unwrap();
    let socket = directory.join("private");
    // Of an earlier test's manager.
    let _ = fs::remove_file(&socket);
    let _hangs = UnixListener::bind(&socket).unwrap();
    let place = Place::new();
    place.amend("placement", json!("unit"));
    let id = idle(&place);
    let diary = place.diary();
    fs::remove_file(socket).unwrap();
    assert!(diary.contains("in place of a unit: the unit did not come within 1 s"), "{diary}");
    request(&place, &id, &place.request());
    remove(&place, &id);
}

/// podman 4.4 and later come with Quadlet, which makes a service of docs/runtimes.md's file. Here
/// that service is made by hand: what podman-systemd.unit(5) says each line becomes.
#[test]
fn the_service_that_quadlet_makes_of_the_documented_file_is_served() {
    let Some(_manager) = Manager::start("a container as Quadlet starts it") else { return };
    let place = Place::new();
    let cid = place.path("web.cid");
    let cid = format!("--cidfile={}", cid.display());
    let mut service = place.command(Path::new("systemd-run"));
    service.args(["--user", "--unit=web", "--property=Type=notify", "--property=NotifyAccess=all"]);
    service.args(["--property=KillMode=mixed", "--property=Delegate=yes"]);
    service.arg(format!("--property=ExecStop=/usr/bin/podman rm -f -i {cid}"));
    let log = place.path("service.log");
    service.arg(format!("--property=StandardError=append:{}", log.display()));
    let variables = |(name, value): (&OsStr, Option<&OsStr>)| {
        Some(format!("--setenv={}={}", name.display(), value?.display()))
    };
    let variables: Vec<String> = service.get_envs().filter_map(variables).collect();
    service.args(variables);
    service.args(["/usr/bin/podman", "run", &cid, "--replace", "--rm", "--sdnotify=conmon"]);
    // Quadlet says `--cgroups=split`, which podman refuses where cgroup v1 is mounted too.
    service.args(["--detach", "--log-driver=passthrough", "--cgroups=no-conmon", "--network=none"]);
    service.args(quadlet(&place)).arg("--rootfs").arg(place.rootfs());
    let started = service.args(["sleep", "60"]).status().unwrap();
    assert!(started.success(), "{}", fs::read_to_string(log).unwrap_or_default());
    let id = ok(podman(&place).args(["inspect", "--format={{.Id}}", "web"]));
    let id = ContainerId::parse(id.trim()).unwrap();
    request(&place, &id, &place.request());
    let cgroup = fs::read_to_string(tree::file(supervisor(&place, &id), "cgroup")).unwrap();
    assert!(cgroup.contains("web.service"), "{cgroup}");
    ok(Command::new("systemctl").args(["--user", "stop", "web"]));
    place.expect_gone();
}

/// The arguments for the `[Container]` part of the documented file, in this place.
fn quadlet(place: &Place) -> Vec<String> {
    let text = include_str!("../../docs/runtimes.md");
    let (_, text) = text.split_once("[Container]\n").expect("the file is in the document");
    let (text, _) = text.split_once("\n\n").expect("another part follows");
    let here = |value: &str| {
        value
            .replace("%h/.local/share/terok/sandbox", place.path("state").to_str().unwrap())
            .replace("%t/terok/sandbox", place.path("run/terok/sandbox").to_str().unwrap())
    };
    let argument = |line: &str| match line.split_once('=').expect("a key and a value") {
        ("Image", _) => None,
        ("ContainerName", name) => Some(format!("--name={name}")),
        ("Annotation", value) => Some(format!("--annotation={}", here(value))),
        ("Volume", value) => Some(format!("--volume={}", here(value))),
        ("EnvironmentFile", value) => Some(format!("--env-file={}", here(value))),
        (other, _) => panic!("what does {other} become?"),
    };
    text.lines().filter_map(argument).collect()
}

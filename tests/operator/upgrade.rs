//! An upgrade in place while containers run: their supervisors go on, new starts get the new
//! programs; and what a purge leaves alone while they run.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::json;
use terok_shared::container::ContainerId;
use terok_shared::endpoint::Endpoint;
use terok_shared::layout::StateRoot;
use terok_shared::pid_file;
use terok_shared::process::Process;
use terok_shared::service::Service;
use terok_tests::eventually::{eventually, found};
use terok_tests::http;
use terok_tests::tree::{self, Tree};

use crate::desk::Desk;

/// A process in a container's place, served by the installed hook.
struct Served<'d> {
    desk: &'d Desk,
    name: &'static str,
    id: ContainerId,
    init: Child,
}

impl<'d> Served<'d> {
    fn start(desk: &'d Desk, name: &'static str, digit: char) -> Self {
        desk.ok(&["prepare", name]);
        let init = Command::new("sleep").arg("600").stdin(Stdio::null()).spawn().unwrap();
        let id = ContainerId::parse(&digit.to_string().repeat(64)).unwrap();
        let served = Self { desk, name, id, init };
        served.hook("createRuntime");
        served.answers();
        served
    }

    /// As the installed descriptor says.
    fn hook(&self, stage: &str) {
        let file = self.desk.state().join(format!("hooks/terok-supervisor-{stage}.json"));
        let descriptor: serde_json::Value =
            serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        let words = descriptor["hook"]["args"].as_array().unwrap();
        let sidecar = self.desk.state().join(format!("sidecar/{}.json", self.name));
        let state = json!({
            "ociVersion": "1.0.2",
            "id": self.id.as_str(),
            "status": "created",
            "pid": self.init.id(),
            "bundle": "/",
            "annotations": { "terok.sandbox.sidecar": sidecar },
        });
        let mut hook = Command::new(descriptor["hook"]["path"].as_str().unwrap())
            .args(words[1..].iter().map(|word| word.as_str().unwrap()))
            .env_clear()
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        serde_json::to_writer(hook.stdin.take().unwrap(), &state).unwrap();
        assert!(hook.wait().unwrap().success());
    }

    fn supervisor(&self) -> Process {
        let pid_file = StateRoot::new(self.desk.state()).pid_file(&self.id);
        found("a supervisor", || pid_file::living(&pid_file, &self.id)).supervisor
    }

    fn broker(&self) -> Process {
        let tree = Tree { parent: self.supervisor() };
        found("a broker", || tree.child(Service::Broker))
    }

    fn answers(&self) {
        let socket =
            self.desk.path(&format!("run/terok/sandbox/run/{}/vault/vault.sock", self.name));
        let answered = || {
            let answer = http::get(&Endpoint::Unix(socket.clone()), "/-/health", &[]);
            answer.is_ok_and(|answer| answer.status == 200)
        };
        eventually("the broker answers", answered);
    }

    fn end(&mut self) {
        let supervisor = self.supervisor();
        self.init.kill().unwrap();
        self.init.wait().unwrap();
        eventually("the supervisor goes with its container", || !supervisor.is_alive());
    }
}

impl Drop for Served<'_> {
    fn drop(&mut self) {
        let _ = self.init.kill();
        let _ = self.init.wait();
    }
}

/// Which file a process runs.
fn file_of(process: Process) -> (u64, u64) {
    identity(Path::new(&format!("/proc/{}/exe", process.pid())))
}

fn identity(path: &Path) -> (u64, u64) {
    let facts = fs::metadata(path).unwrap();
    (facts.dev(), facts.ino())
}

/// The same program with other bytes, as a new version has.
fn newer(mut program: Vec<u8>) -> Vec<u8> {
    program.extend_from_slice(b"newer");
    program
}

#[test]
fn running_supervisors_outlive_an_upgrade_and_new_starts_get_the_new_programs() {
    let desk = Desk::new();
    desk.ok(&["setup", "--no-verify"]);
    let mut old = Served::start(&desk, "old", 'a');
    let supervisor = old.supervisor();
    let started_with = file_of(supervisor);

    for program in ["terok-supervisor", "terok-token-broker"] {
        desk.rebuild(program, newer);
    }
    let told = desk.ok(&["setup"]);
    assert!(told.contains("done       install 7 programs"), "{told}");
    let installed = |name: &str| identity(&desk.state().join("libexec").join(name));
    assert_ne!(installed("terok-supervisor"), started_with);

    old.answers();
    assert_eq!(old.supervisor(), supervisor, "it is the one that was there");
    assert_eq!(file_of(supervisor), started_with);
    tree::signal(old.broker(), Signal::KILL);
    old.answers();
    let broker = found("the broker of the new version", || {
        Some(old.broker()).filter(|broker| file_of(*broker) == installed("terok-token-broker"))
    });
    assert!(broker.is_alive());

    let mut new = Served::start(&desk, "new", 'b');
    assert_eq!(file_of(new.supervisor()), installed("terok-supervisor"));
    new.hook("poststop");
    new.end();
    old.end();
    desk.nothing_runs();
}

#[test]
fn a_purge_is_refused_while_a_container_is_served() {
    let desk = Desk::new();
    desk.ok(&["setup", "--no-verify"]);
    let mut served = Served::start(&desk, "busy", 'c');
    let names = || desk.snapshot().into_iter().map(|(path, ..)| path).collect::<Vec<_>>();
    let before = names();
    let said = desk.fails(&["uninstall", "--purge", "--yes"]);
    assert!(said.contains("a container is being served; nothing was changed"), "{said}");
    assert_eq!(names(), before);
    served.end();
    let said = desk.fails(&["uninstall", "--purge"]);
    assert!(said.contains("no terminal") && said.contains("`--yes`"), "{said}");
    let told = desk.ok(&["uninstall", "--purge", "--yes"]);
    assert!(told.contains("remove ") && !desk.state().exists(), "{told}");
    let left = desk.snapshot();
    assert!(left.iter().all(|(_, mode, _)| mode & 0o170_000 == 0o040_000), "{left:?}");
}

//! One container: a stand-in for its init process, its sidecar, and the hook's view of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use terok_shared::container::{ContainerId, ContainerName};
use terok_shared::endpoint::{self, Endpoint};
use terok_shared::pid_file::{self, Living};
use terok_shared::process::Process;
use terok_shared::service::Service;

use crate::eventually::{eventually, found};
use crate::house::House;
use crate::runtime::{self, HookRun, Runtime, Stage};
use crate::sidecar::{self, Sidecar};
use crate::tree::Tree;

pub struct Container<'h> {
    house: &'h House,
    id: ContainerId,
    sidecar: PathBuf,
    init: Child,
}

impl<'h> Container<'h> {
    pub(crate) fn new(house: &'h House, members: &Sidecar) -> Self {
        let name = ContainerName::parse(members.name()).unwrap();
        let path = house.state_root().sidecar(&name);
        sidecar::write(&path, members.text());
        house.hand_over(&path);
        Self { house, id: new_id(), sidecar: path, init: init() }
    }

    pub fn id(&self) -> &ContainerId {
        &self.id
    }

    /// The pid a runtime would report: host numbering.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.init.id()).unwrap()
    }

    pub fn sidecar(&self) -> &Path {
        &self.sidecar
    }

    pub fn house(&self) -> &'h House {
        self.house
    }

    /// Runs the hook with the state this runtime would send for this container.
    pub fn hook(&self, runtime: Runtime, stage: Stage) -> HookRun {
        let state = runtime::state(self, runtime, stage).to_string();
        self.hook_with(runtime, stage, state.as_bytes())
    }

    /// Runs the hook with a state of the test's own.
    pub fn hook_with(&self, runtime: Runtime, stage: Stage, state: &[u8]) -> HookRun {
        let run = runtime::run_hook(self.house, runtime, stage, state);
        if let Some(living) = self.living() {
            self.house.remember_session(living.supervisor.pid());
        }
        run
    }

    /// Runs createRuntime the way crun does, which must go well, and gives the tree it started.
    #[track_caller]
    pub fn start(&self) -> Tree {
        let run = self.hook(Runtime::Crun, Stage::CreateRuntime);
        assert!(run.status.success(), "{run:?}");
        match self.living() {
            Some(living) => Tree { parent: living.supervisor },
            None => panic!("no supervisor: {}{}", self.house.diary(), self.log()),
        }
    }

    /// The tree, once every one of `services` has said that it serves.
    #[track_caller]
    pub fn start_serving(&self, services: &[Service]) -> Tree {
        let tree = self.start();
        for service in services {
            let words = format!("{service} is ready");
            eventually(&format!("{words}: {}", self.log()), || self.log().contains(&words));
        }
        tree
    }

    /// Kills the container's init and takes its status, as conmon would.
    pub fn die(&mut self) {
        self.init.kill().unwrap();
        self.init.wait().unwrap();
    }

    /// The same container started once more: another init under the same id and sidecar.
    pub fn start_again(&mut self) {
        self.die();
        self.init = init();
    }

    pub fn pid_file(&self) -> PathBuf {
        self.house.state_root().pid_file(&self.id)
    }

    /// What the pid file says of a living supervisor.
    pub fn living(&self) -> Option<Living> {
        if self.house.operator().is_none() {
            return pid_file::living(&self.pid_file(), &self.id);
        }
        // Another user's file: read by its contract, the pid on the first line.
        let text = fs::read_to_string(self.pid_file()).ok()?;
        let supervisor = Process::of(text.lines().next()?.parse().ok()?).ok()?;
        Some(Living { supervisor, container: None })
    }

    /// The container's own log: every line of supervisor and services.
    pub fn log(&self) -> String {
        let path = self.house.state_root().container_log(&self.id);
        fs::read_to_string(path).unwrap_or_default()
    }

    /// Where this service listens according to the sidecar.
    pub fn endpoint(&self, service: Service) -> Endpoint {
        let text = fs::read(&self.sidecar).unwrap();
        let sidecar = terok_shared::sidecar::Sidecar::parse(&self.sidecar, &text).unwrap();
        endpoint::of(&sidecar, service).expect("a wired service").unwrap()
    }

    pub fn socket(&self, service: Service) -> PathBuf {
        match self.endpoint(service) {
            Endpoint::Unix(path) => path,
            Endpoint::Loopback(port) => panic!("{service} listens on port {port}"),
        }
    }

    /// Waits for a line of the log that holds `words`, and gives it.
    #[track_caller]
    pub fn logged(&self, words: &str) -> String {
        found(&format!("{words:?} in the log:\n{}", self.log()), || {
            self.log().lines().find(|line| line.contains(words)).map(str::to_owned)
        })
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // It may have died before.
        let _ = self.init.kill();
        let _ = self.init.wait();
        if std::thread::panicking() {
            println!("diary:\n{}log:\n{}", self.house.diary(), self.log());
        }
    }
}

fn init() -> Child {
    Command::new("sleep").arg("120").stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap()
}

/// 64 hexadecimal digits, as podman makes them.
fn new_id() -> ContainerId {
    use std::io::Read;
    let mut bits = [0; 32];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut bits).unwrap();
    ContainerId::parse(&hex::encode(bits)).unwrap()
}

//! The supervisor started from a shell, without runtime and container.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use terok_shared::container::ContainerName;
use terok_shared::endpoint::{self, Endpoint};
use terok_shared::process::Process;
use terok_shared::service::Service;

use crate::eventually::{eventually, within};
use crate::house::House;
use crate::programs;
use crate::sidecar::{self, Sidecar};
use crate::tree;

const BOUND: Duration = Duration::from_secs(5);

pub struct ByHand {
    child: Child,
    sidecar: PathBuf,
    log: PathBuf,
}

impl ByHand {
    /// `terok-supervisor --sidecar PATH`, with `variables` added to the environment; standard error
    /// goes to a file as it would go to a terminal.
    pub fn start(house: &House, members: &Sidecar, variables: &[(&str, &str)]) -> Self {
        Self::spawn(house, members, &[], variables)
    }

    /// The same with more words on the command line.
    pub fn start_with(house: &House, members: &Sidecar, words: &[&str]) -> Self {
        Self::spawn(house, members, words, &[])
    }

    fn spawn(house: &House, members: &Sidecar, words: &[&str], variables: &[(&str, &str)]) -> Self {
        let name = ContainerName::parse(members.name()).unwrap();
        let sidecar = house.state_root().sidecar(&name);
        sidecar::write(&sidecar, members.text());
        let log = house.path().join("terminal");
        let child = command(house)
            .arg("--sidecar")
            .arg(&sidecar)
            .args(words)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Self { child, sidecar, log }
    }

    /// Everything it and its services said.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    #[track_caller]
    pub fn wait_until_it_says(&self, words: &str) {
        eventually(&format!("{words:?} in {}", self.said()), || self.said().contains(words));
    }

    pub fn process(&self) -> Process {
        Process::of(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// A tree by parentage: by hand there is no session of its own.
    pub fn child(&self, service: Service) -> Option<Process> {
        tree::children(self.process()).into_iter().find(|child| tree::runs(*child, service))
    }

    pub fn endpoint(&self, service: Service) -> Endpoint {
        let text = fs::read(&self.sidecar).unwrap();
        let sidecar = terok_shared::sidecar::Sidecar::parse(&self.sidecar, &text).unwrap();
        endpoint::of(&sidecar, service).expect("a wired service").unwrap()
    }

    /// Ctrl-C.
    pub fn interrupt(&self) {
        tree::signal(self.process(), Signal::INT);
    }

    /// Its status, once it has ended by itself.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        within(BOUND, "the supervisor ends", || self.child.try_wait().unwrap().is_some());
        self.child.wait().unwrap()
    }
}

/// The supervisor with no arguments yet.
pub fn command(house: &House) -> Command {
    Command::new(house.programs().path(programs::SUPERVISOR))
}

impl Drop for ByHand {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.interrupt();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            println!("{}", self.said());
        }
    }
}

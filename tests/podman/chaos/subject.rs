//! One container under blows: how it is started, whether its services answer, what is told of it
//! when they do not.
//!
//! Services are asked from outside, where a question takes a millisecond; the sockets are the same.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use terok_shared::annotation;
use terok_shared::container::ContainerId;
use terok_shared::endpoint::{self, Endpoint};
use terok_shared::layout::StateRoot;
use terok_shared::pid_file;
use terok_shared::process::Process;
use terok_shared::service::Service;
use terok_shared::sidecar::Sidecar;
use terok_tests::agent::Agent;
use terok_tests::http;
use terok_tests::tree::Tree;
use terok_tests::upstream::ANSWER;

use super::Place;
use crate::container::SMALL_IMAGE;
use crate::operator::{self, PROVIDER, SCOPE};

/// Longest until services answer again by themselves.
const PATIENCE: Duration = Duration::from_secs(8);
const FRUITLESS: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(10);

pub(super) struct Subject<'p> {
    pub(super) place: &'p Place<'p>,
    pub(super) name: &'static str,
    launch: Value,
    pub(super) id: ContainerId,
    /// Whether its conmon still lives, without which podman can only remove it.
    pub(super) has_conmon: bool,
}

/// Whether the services answer.
#[derive(Debug)]
pub(super) enum Verdict {
    After(Duration),
    /// They do not, for this reason.
    NotYet(String),
}

impl<'p> Subject<'p> {
    /// Prepares a launch with these further words and starts its container.
    pub(super) fn launch(place: &'p Place<'p>, name: &'static str, words: &[&str]) -> Self {
        let all = ["prepare", name, "--json", "--project", name, "--scope", SCOPE];
        let services = ["--provider", PROVIDER, "--ssh", "--gate", "--init-mirror"];
        let printed = place.terokctl_ok(&[&all[..], &services, words].concat());
        let launch = serde_json::from_str(&printed).unwrap();
        let mut subject = Self { place, name, launch, id: unknown(), has_conmon: false };
        subject.create();
        subject
    }

    /// `podman run`. The network is none in both modes: from outside it makes no difference.
    pub(super) fn create(&mut self) {
        let annotation = format!("--annotation={}={}", annotation::KEY, self.text("sidecar"));
        let mount = format!("--volume={}:/run/terok:ro", self.text("runtime_dir"));
        let words = ["run", "--detach", "--pull=never", "--network=none", "--name", self.name];
        let rest = [annotation.as_str(), &mount, SMALL_IMAGE, "sleep", "900"];
        let id = self.place.operator.podman_ok(&[&words[..], &rest].concat());
        self.id = ContainerId::parse(&id).unwrap();
        self.has_conmon = true;
    }

    pub(super) fn podman(&self, words: &[&str]) -> Output {
        self.place.operator.podman(&[words, &[self.name]].concat())
    }

    #[track_caller]
    pub(super) fn podman_ok(&self, words: &[&str]) -> String {
        operator::succeeded(&format!("podman {words:?} {}", self.name), self.podman(words))
    }

    pub(super) fn supervisor(&self) -> Option<Process> {
        pid_file::living(&self.root().pid_file(&self.id), &self.id).map(|living| living.supervisor)
    }

    pub(super) fn service(&self, service: Service) -> Option<Process> {
        Tree { parent: self.supervisor()? }.child(service)
    }

    fn root(&self) -> &StateRoot {
        &self.place.root
    }

    fn text(&self, key: &str) -> &str {
        self.launch[key].as_str().expect("told by prepare")
    }

    pub(super) fn socket_directory(&self) -> PathBuf {
        self.text("runtime_dir").into()
    }

    fn token(&self, variable: &str) -> &str {
        self.launch["env"][variable].as_str().expect("told by prepare")
    }

    fn endpoint(&self, service: Service) -> Endpoint {
        let path = PathBuf::from(self.text("sidecar"));
        let sidecar = Sidecar::parse(&path, &fs::read(&path).unwrap()).unwrap();
        endpoint::of(&sidecar, service).expect("a wired service").unwrap()
    }

    /// The runtime's state of the running container, for a hook that is called once more.
    pub(super) fn state(&self) -> String {
        let pid = self.podman_ok(&["inspect", "--format", "{{.State.Pid}}"]);
        serde_json::json!({
            "ociVersion": "1.0.2",
            "id": self.id.as_str(),
            "status": "created",
            "pid": pid.parse::<i32>().unwrap(),
            "bundle": "/",
            "annotations": { annotation::KEY: self.text("sidecar") },
        })
        .to_string()
    }

    /// Asks until all three services give what the container wants of them.
    pub(super) fn verdict(&self) -> Verdict {
        let began = Instant::now();
        loop {
            match self.ask_all() {
                Ok(()) => return Verdict::After(began.elapsed()),
                Err(why) if began.elapsed() > self.patience() => {
                    return Verdict::NotYet(why.to_string());
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }

    /// Without a supervisor there is nobody who could bring services back.
    fn patience(&self) -> Duration {
        if self.supervisor().is_some() { PATIENCE } else { FRUITLESS }
    }

    fn ask_all(&self) -> io::Result<()> {
        let to = |what: &str, why: io::Error| io::Error::other(format!("{what}: {why}"));
        self.ask_broker().map_err(|why| to("broker", why))?;
        self.ask_signer().map_err(|why| to("signer", why))?;
        self.ask_gate().map_err(|why| to("gate", why))
    }

    fn ask_broker(&self) -> io::Result<()> {
        let token = self.token(&format!("TEROK_{}_TOKEN", PROVIDER.to_uppercase()));
        let answer = http::get_with(&self.endpoint(Service::Broker), "/v1/chaos", token)?;
        expect(answer.status == 200 && answer.body == ANSWER, &answer)
    }

    fn ask_signer(&self) -> io::Result<()> {
        let token = self.token("TEROK_SSH_SIGNER_TOKEN");
        let keys = Agent::connect(&self.endpoint(Service::Signer), token)?.identities()?;
        expect(keys > 0, &keys)
    }

    fn ask_gate(&self) -> io::Result<()> {
        let user = STANDARD.encode(format!("{}:x", self.token("TEROK_GATE_TOKEN")));
        let path = format!("/{}.git/info/refs?service=git-upload-pack", self.name);
        let header = format!("Authorization: Basic {user}");
        let answer = http::get(&self.endpoint(Service::Gate), &path, &[&header])?;
        expect(answer.status == 200, &answer)
    }

    /// The same broker where the container itself finds it, on its own loopback.
    #[track_caller]
    pub(super) fn ask_inside(&self) {
        let url = "http://127.0.0.1:9419/-/health";
        let words = ["exec", self.name, "wget", "-q", "-O", "-", url];
        assert_eq!(self.place.operator.podman_ok(&words), r#"{"status":"ok"}"#);
    }

    /// All that was written about this container: by hooks in the diary, by its supervisor.
    pub(super) fn told(&self) -> Vec<String> {
        let read = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
        let mark = format!("[{}]", &self.id.as_str()[..12]);
        let diary = read(self.root().diary());
        let ours = diary.lines().filter(|line| line.contains(&mark)).map(str::to_owned);
        let log = read(self.root().container_log(&self.id));
        ours.chain(log.lines().map(str::to_owned)).collect()
    }
}

fn expect(good: bool, answer: &impl std::fmt::Debug) -> io::Result<()> {
    if good { Ok(()) } else { Err(io::Error::other(format!("{answer:?}"))) }
}

/// Until there is a container.
fn unknown() -> ContainerId {
    ContainerId::parse("none").expect("letters are fine")
}

//! A plain process in a container's place: the hook is fed the state a runtime would write, and
//! the clients run beside it with the container's environment.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use terok_shared::annotation;

use super::super::DemoError;
use super::super::place::Place;
use super::{NAME, agent_bridge, launch};

const ID: &str = "demo0000stand0in";

pub(in super::super) struct StandIn<'a> {
    place: &'a Place,
    why: String,
    process: Option<Child>,
    environment: BTreeMap<String, String>,
}

impl<'a> StandIn<'a> {
    pub(super) fn new(place: &'a Place, why: String) -> Self {
        Self { place, why, process: None, environment: BTreeMap::new() }
    }

    pub(super) fn place(&self) -> &'a Place {
        self.place
    }

    pub(super) fn why(&self) -> &str {
        &self.why
    }

    pub(super) fn start(&mut self) -> Result<(String, Duration), DemoError> {
        let mut words = launch(self.place);
        words.insert(0, "prepare".to_owned());
        words.extend(["--mode".to_owned(), "tcp".to_owned()]);
        self.place.terokctl(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
        self.environment = self.containers_environment()?;
        let began = Instant::now();
        let process = Command::new("sleep")
            .arg("600")
            .stdin(Stdio::null())
            .spawn()
            .map_err(DemoError::io("start the stand-in process"))?;
        let pid = process.id();
        self.process = Some(process);
        self.hook("createRuntime", "created", Some(pid))?;
        let took = began.elapsed();
        let port = self.value("TEROK_SSH_SIGNER_PORT");
        let token = self.value("TEROK_SSH_SIGNER_TOKEN");
        agent_bridge::start(&self.place.path("agent.sock"), &port, &token)
            .map_err(DemoError::io("bridge the agent socket"))?;
        Ok((ID.to_owned(), took))
    }

    pub(super) fn shell(&self, script: &str) -> Command {
        let mut shell = self.place.command("sh");
        shell
            .args(["-c", script])
            .envs(&self.environment)
            .env("SSH_AUTH_SOCK", self.place.path("agent.sock"))
            .env("BROKER", format!("http://127.0.0.1:{}", self.value("TEROK_TOKEN_BROKER_PORT")))
            .env("GATE", format!("127.0.0.1:{}", self.value("TEROK_GATE_PORT")));
        shell
    }

    pub(super) fn end(&mut self) -> Result<(), DemoError> {
        if let Some(mut process) = self.process.take() {
            let ended = process.kill().and_then(|()| process.wait());
            ended.map_err(DemoError::io("end the stand-in process"))?;
        }
        self.hook("poststop", "stopped", None)
    }

    fn value(&self, name: &str) -> String {
        self.environment.get(name).cloned().unwrap_or_default()
    }

    /// What `prepare` wrote for the container: `NAME=value` lines.
    fn containers_environment(&self) -> Result<BTreeMap<String, String>, DemoError> {
        let path = self.place.path("state/sidecar").join(format!("{NAME}.env"));
        let text =
            fs::read_to_string(&path).map_err(DemoError::io(format!("read {}", path.display())))?;
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// Program and arguments of the descriptor that `setup` wrote for podman.
    fn descriptor(&self, stage: &str) -> Result<Vec<String>, DemoError> {
        let path = self.place.path(&format!("state/hooks/terok-supervisor-{stage}.json"));
        let text =
            fs::read_to_string(&path).map_err(DemoError::io(format!("read {}", path.display())))?;
        let args =
            serde_json::from_str::<Value>(&text).ok().map(|mut all| all["hook"]["args"].take());
        args.and_then(|args| serde_json::from_value(args).ok())
            .filter(|words: &Vec<String>| !words.is_empty())
            .ok_or_else(|| DemoError::Untrue {
                claim: format!("{} names a program", path.display()),
            })
    }

    /// The hook as a runtime runs it: the container's state on standard input.
    fn hook(&self, stage: &str, status: &str, pid: Option<u32>) -> Result<(), DemoError> {
        let what = format!("terok-hook {stage}");
        let sidecar = self.place.path("state/sidecar").join(format!("{NAME}.json"));
        let mut state = json!({
            "ociVersion": "1.0.2",
            "id": ID,
            "status": status,
            "bundle": self.place.root(),
            "annotations": { annotation::KEY: sidecar },
        });
        if let Some(pid) = pid {
            state["pid"] = Value::from(pid);
        }
        let words = self.descriptor(stage)?;
        let mut hook = self
            .place
            .command(&words[0])
            .args(&words[1..])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(DemoError::io(what.clone()))?;
        if let Some(mut stdin) = hook.stdin.take() {
            stdin.write_all(state.to_string().as_bytes()).map_err(DemoError::io(what.clone()))?;
        }
        let status = hook.wait().map_err(DemoError::io(what.clone()))?;
        if status.success() {
            Ok(())
        } else {
            Err(DemoError::Command { what, output: self.place.diary() })
        }
    }
}

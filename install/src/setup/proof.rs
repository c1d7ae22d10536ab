//! Proves an installation: fires the installed hook once, as podman would.
//!
//! In: the descriptors that podman is going to read. Out: every service ran and the broker
//! answered, or why not. The container is a process that waits for its standard input to close;
//! vault, sidecar and sockets lie in a directory of their own, which is gone afterwards.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use terok_shared::annotation;
use terok_shared::container::{ContainerId, ContainerName};
use terok_shared::layout::{self, StateRoot};
use terok_shared::pid_file;
use terok_shared::secret::Secret;
use terok_shared::sidecar::{Sidecar, WriteError};
use terok_shared::status::{self, ServiceState, Status};
use vault_store::Vault;

use super::hook_config::{self, Descriptor, STAGES};
use crate::private_file;

/// From the hook's start until every service runs: a key derivation and three programs.
const PATIENCE: Duration = Duration::from_secs(20);
/// One that ended so often does not come up.
const HOPELESS_RESTARTS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(20);
/// Longest directory below which every socket path still fits.
const MAX_TEMPORARY: usize = 40;

const NAME: &str = "setup-proof";

/// The one program of the system's that is needed; both scripts are made of its own words.
const SHELL: &str = "/bin/sh";
const SAY_KEY: &str = "read -r key < \"$1\"; printf %s \"$key\"";
const WAIT: &str = "read -r line";

/// What was found out.
#[derive(Debug)]
pub(crate) struct Proved {
    pub(crate) services: Vec<String>,
    pub(crate) took: Duration,
}

#[derive(Debug)]
pub(crate) enum ProofError {
    Place {
        doing: &'static str,
        path: PathBuf,
        why: io::Error,
    },
    Random(String),
    Vault(String),
    Sidecar(WriteError),
    Descriptor {
        path: PathBuf,
        why: String,
    },
    Hook {
        program: PathBuf,
        why: io::Error,
    },
    /// It ended with this status, in these words.
    Refused {
        stage: &'static str,
        status: String,
        said: String,
    },
    /// `said` is the end of the log.
    NotServing {
        waiting_for: String,
        said: String,
    },
    NoAnswer {
        why: String,
        said: String,
    },
    /// What should have ended with the container.
    Left {
        what: String,
    },
}

/// Fires the hooks that the descriptors in `hooks_dir` describe.
///
/// # Errors
/// What podman's first container would have met. Nothing is left of the proof.
pub(crate) fn fire(hooks_dir: &Path) -> Result<Proved, ProofError> {
    let [start, stop] = STAGES.map(|stage| read(&hooks_dir.join(hook_config::file_name(stage))));
    let (start, stop) = (start?, stop?);
    let began = Instant::now();
    let place = Place::make()?;
    let mut container = Container::start()?;
    let started = place.call(&start, STAGES[0], "created", container.pid());
    let served = started.and_then(|()| place.wait_until_served());
    container.end();
    let stopped = place.call(&stop, STAGES[1], "stopped", 0);
    let services = served?;
    stopped?;
    place.is_left()?;
    Ok(Proved { services, took: began.elapsed() })
}

fn read(path: &Path) -> Result<Descriptor, ProofError> {
    let text = fs::read(path).map_err(failed("read", path))?;
    serde_json::from_slice(&text)
        .map_err(|why| ProofError::Descriptor { path: path.to_owned(), why: why.to_string() })
}

/// The directory everything is in; gone with the value.
struct Place {
    root: PathBuf,
    id: ContainerId,
}

impl Place {
    fn make() -> Result<Self, ProofError> {
        let base = std::env::temp_dir();
        let fits = base.as_os_str().len() <= MAX_TEMPORARY;
        let base = if fits { base } else { PathBuf::from("/tmp") };
        let id = random_digits::<32>()?;
        // A name that nobody can have taken before us.
        let root = base.join(format!("terok-setup-{}", &id[..12]));
        let id = ContainerId::parse(&id).expect("the id is hexadecimal digits");
        let private =
            |path: &Path| DirBuilder::new().mode(0o700).create(path).map_err(failed("make", path));
        private(&root)?;
        let place = Self { root, id };
        for below in ["state", "run", "vault"] {
            private(&place.root.join(below))?;
        }
        place.furnish()?;
        Ok(place)
    }

    /// An empty vault and a sidecar for it.
    fn furnish(&self) -> Result<(), ProofError> {
        let passphrase = Secret::from(random_digits::<16>()?);
        let (vault, key) = (self.root.join("vault/credentials.db"), self.root.join("vault/key"));
        Vault::create(&vault, &passphrase).map_err(|why| ProofError::Vault(why.to_string()))?;
        private_file::create(&key, passphrase.expose().as_bytes())
            .map_err(failed("write", &key))?;
        let routes = layout::routes_beside(&vault);
        private_file::create(&routes, b"{}").map_err(failed("write", &routes))?;
        let command = shlex::try_join([SHELL, "-c", SAY_KEY, SHELL, &key.to_string_lossy()])
            .expect("a path has no NUL");
        let sidecar = Sidecar {
            passphrase_command: Some(command.into()),
            required: true,
            ..Sidecar::new(name(), vault, self.runtime())
        };
        sidecar.write(&self.state()).map(drop).map_err(ProofError::Sidecar)
    }

    fn runtime(&self) -> PathBuf {
        self.root.join("run")
    }

    fn state(&self) -> StateRoot {
        StateRoot::new(self.root.join("state"))
    }

    fn sidecar(&self) -> PathBuf {
        self.state().sidecar(&name())
    }

    fn broker(&self) -> PathBuf {
        layout::socket_directory(&self.runtime(), &name()).join(layout::BROKER_SOCKET)
    }

    /// Runs a hook with the state on its standard input (runtime-spec, runtime.md, "State").
    fn call(
        &self,
        descriptor: &Descriptor,
        stage: &'static str,
        status: &str,
        pid: u32,
    ) -> Result<(), ProofError> {
        let (program, arguments) = descriptor.command();
        let state = json!({
            "ociVersion": "1.0.2",
            "id": self.id.as_str(),
            "status": status,
            "pid": pid,
            "bundle": "/",
            "annotations": { annotation::KEY: self.sidecar() },
        });
        let failed = |why| ProofError::Hook { program: program.to_owned(), why };
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that does not read it says in its status why.
            let _ = stdin.write_all(state.to_string().as_bytes());
        }
        let output = child.wait_with_output().map_err(failed)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(ProofError::Refused { stage, status: output.status.to_string(), said })
    }

    /// Every service that was started, once all of them run and the broker answers.
    fn wait_until_served(&self) -> Result<Vec<String>, ProofError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let services = self.status().map(|status| status.services).unwrap_or_default();
            let lazy: Vec<&str> = services
                .iter()
                .filter(|one| one.state != ServiceState::Running)
                .map(|one| one.service.as_str())
                .collect();
            if lazy.is_empty() && !services.is_empty() {
                self.ask_the_broker()?;
                return Ok(services.into_iter().map(|one| one.service).collect());
            }
            let hopeless = services
                .iter()
                .any(|one| one.state == ServiceState::GivenUp || one.restarts >= HOPELESS_RESTARTS);
            if hopeless || Instant::now() > deadline {
                let waiting_for =
                    if lazy.is_empty() { "the supervisor".to_owned() } else { lazy.join(", ") };
                return Err(ProofError::NotServing { waiting_for, said: self.last_words() });
            }
            thread::sleep(PAUSE);
        }
    }

    fn status(&self) -> Option<Status> {
        let file = fs::File::open(self.state().status_file(&self.id)).ok()?;
        serde_json::from_reader(file.take(status::MAX_BYTES)).ok()
    }

    fn ask_the_broker(&self) -> Result<(), ProofError> {
        let unanswered = |why: String| ProofError::NoAnswer { why, said: self.last_words() };
        let answer = health(&self.broker()).map_err(|why| unanswered(why.to_string()))?;
        if answer.starts_with("HTTP/1.1 200 ") {
            return Ok(());
        }
        Err(unanswered(answer.lines().next().unwrap_or("nothing").to_owned()))
    }

    /// The log's end: the line that says why is among the last.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.state().container_log(&self.id)).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(3)..].join("; ")
    }

    fn is_left(&self) -> Result<(), ProofError> {
        let left = |what: String| Err(ProofError::Left { what });
        if let Some(living) = pid_file::living(&self.state().pid_file(&self.id), &self.id) {
            return left(format!("supervisor {}", living.supervisor.pid()));
        }
        if self.broker().exists() {
            return left(self.broker().display().to_string());
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(why) = fs::remove_dir_all(&self.root) {
            log::warn!("remove {}: {why}", self.root.display());
        }
    }
}

/// Two for each of so many bytes.
fn random_digits<const BYTES: usize>() -> Result<String, ProofError> {
    let mut random = [0u8; BYTES];
    getrandom::fill(&mut random).map_err(|why| ProofError::Random(why.to_string()))?;
    Ok(hex::encode(random))
}

fn name() -> ContainerName {
    ContainerName::parse(NAME).expect("the name is plain")
}

fn health(socket: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /-/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A process that lives until its standard input closes: with us at the latest.
struct Container(Child);

impl Container {
    fn start() -> Result<Self, ProofError> {
        Command::new(SHELL)
            .args(["-c", WAIT])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map(Self)
            .map_err(|why| ProofError::Hook { program: SHELL.into(), why })
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }

    fn end(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait(); // it has no other way to go
    }
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ProofError + 'a {
    move |why| ProofError::Place { doing, path: path.to_owned(), why }
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place { doing, path, why } => write!(f, "{doing} {}: {why}", path.display()),
            Self::Sidecar(why) => why.fmt(f),
            Self::Random(why) => write!(f, "read random bits: {why}"),
            Self::Vault(why) => write!(f, "make a throw-away vault: {why}"),
            Self::Descriptor { path, why } => write!(f, "read {}: {why}", path.display()),
            Self::Hook { program, why } => write!(f, "run {}: {why}", program.display()),
            Self::Refused { stage, status, said } => write!(f, "hook {stage}: {status}: {said}"),
            Self::NotServing { waiting_for, said } => {
                write!(f, "{waiting_for} did not start; the log ends: {said}")
            }
            Self::NoAnswer { why, said } => {
                write!(f, "the broker gave no answer: {why}; the log ends: {said}")
            }
            Self::Left { what } => write!(f, "after the container's end there was still {what}"),
        }
    }
}

impl std::error::Error for ProofError {}

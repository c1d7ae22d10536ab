//! What podman says of its containers. Other programs that are asked go the same way: found on
//! PATH, given a time limit, and read with a bound.

use std::env;
use std::fmt;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use terok_shared::annotation;
use terok_shared::process::Process;

/// podman waits for locks of its own; one that is stuck must not stick us too.
const PATIENCE: Duration = Duration::from_secs(20);
/// A thousand containers have about 2 MiB.
const MAX_OUTPUT: u64 = 16 * 1024 * 1024;

pub(super) struct Podman(PathBuf);

/// One line of `podman ps --all`.
#[derive(Debug, Deserialize)]
pub(super) struct Listed {
    #[serde(rename = "Names", default)]
    pub(super) names: Vec<String>,
    #[serde(rename = "State", default)]
    pub(super) state: String,
}

/// What `podman container inspect` says of one, as far as we ask.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inspected {
    pub(super) id: String,
    /// Its init, in the host's numbering; `None` unless it runs.
    pub(super) pid: Option<i32>,
    /// The value of our annotation.
    pub(super) sidecar: Option<String>,
}

#[derive(Debug)]
pub(super) enum AskError {
    Start { program: PathBuf, why: io::Error },
    TooSlow { program: PathBuf },
    Failed { program: PathBuf, status: ExitStatus, said: String },
    Malformed { program: PathBuf, why: String },
}

impl Podman {
    pub(super) fn on_path() -> Option<Self> {
        program("podman").map(Self)
    }

    /// Every container of this user's, running or not.
    pub(super) fn list(&self) -> Result<Vec<Listed>, AskError> {
        let text = self.ask(&["ps", "--all", "--no-trunc", "--format", "json"])?;
        serde_json::from_slice(&text).map_err(|why| self.malformed(&why.to_string()))
    }

    /// One container by name or id; `None` when podman knows none.
    pub(super) fn inspect(&self, name: &str) -> Result<Option<Inspected>, AskError> {
        let text = match self.ask(&["container", "inspect", "--", name]) {
            Err(AskError::Failed { said, .. }) if said.to_lowercase().contains("no such") => {
                return Ok(None);
            }
            text => text?,
        };
        let value: serde_json::Value =
            serde_json::from_slice(&text).map_err(|why| self.malformed(&why.to_string()))?;
        let facts = inspected(&value).ok_or_else(|| self.malformed("has no container id"))?;
        Ok(Some(facts))
    }

    /// A command inside the namespace that this user's containers are in.
    pub(super) fn unshare(&self) -> Command {
        let mut command = Command::new(&self.0);
        command.arg("unshare");
        command
    }

    fn ask(&self, words: &[&str]) -> Result<Vec<u8>, AskError> {
        let mut command = Command::new(&self.0);
        command.args(words);
        ask(command)
    }

    fn malformed(&self, why: &str) -> AskError {
        AskError::Malformed { program: self.0.clone(), why: why.to_owned() }
    }
}

fn inspected(value: &serde_json::Value) -> Option<Inspected> {
    let container = value.get(0)?;
    let pid = container.pointer("/State/Pid").and_then(serde_json::Value::as_i64);
    let annotations = container.pointer("/Config/Annotations");
    Some(Inspected {
        id: container.get("Id")?.as_str()?.to_owned(),
        pid: pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0),
        sidecar: annotations.and_then(|all| all.get(annotation::KEY)?.as_str()).map(str::to_owned),
    })
}

/// The executable file of this name on PATH.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(name)).find(|file| {
        file.metadata()
            .is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
    })
}

/// What a command prints, if it ends well and in time.
pub(super) fn ask(mut command: Command) -> Result<Vec<u8>, AskError> {
    let program = PathBuf::from(command.get_program());
    let failed = |why| AskError::Start { program: program.clone(), why };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let process = Process::of(i32::try_from(child.id()).unwrap_or_default());
    let (say, hear) = mpsc::channel();
    thread::spawn(move || {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let errors = child.stderr.take();
        let reader = thread::spawn(move || {
            errors.map(|errors| errors.take(MAX_OUTPUT).read_to_end(&mut err));
            err
        });
        let read = child.stdout.take().map(|pipe| pipe.take(MAX_OUTPUT).read_to_end(&mut out));
        let ended = read.transpose().and_then(|_| child.wait());
        // Nobody waits any more when it took too long.
        let _ = say.send((ended, out, reader.join().unwrap_or_default()));
    });
    match hear.recv_timeout(PATIENCE) {
        Ok((Ok(status), out, _)) if status.success() => Ok(out),
        Ok((Ok(status), _, err)) => {
            let said = String::from_utf8_lossy(&err).trim().to_owned();
            Err(AskError::Failed { program, status, said })
        }
        Ok((Err(why), ..)) => Err(AskError::Start { program, why }),
        Err(_) => {
            if let Ok(process) = process {
                // One that ends in this moment is fine.
                let _ = process.kill();
            }
            Err(AskError::TooSlow { program })
        }
    }
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { program, why } => write!(f, "run {}: {why}", program.display()),
            Self::TooSlow { program } => {
                write!(f, "run {}: no end within {} s", program.display(), PATIENCE.as_secs())
            }
            Self::Failed { program, status, said } => {
                write!(f, "run {}: {status}: {said}", program.display())
            }
            Self::Malformed { program, why } => {
                write!(f, "understand {}: {why}", program.display())
            }
        }
    }
}

impl std::error::Error for AskError {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn podmans_words_are_understood() {
        let running = json!([{
            "Id": "abc",
            "State": { "Pid": 42, "Running": true },
            "Config": { "Annotations": { "terok.sandbox.sidecar": "/s/sidecar/w.json" } },
        }]);
        let expected = Inspected {
            id: "abc".to_owned(),
            pid: Some(42),
            sidecar: Some("/s/sidecar/w.json".to_owned()),
        };
        assert_eq!(inspected(&running), Some(expected));
        let stopped = json!([{ "Id": "abc", "State": { "Pid": 0 }, "Config": {} }]);
        assert_eq!(inspected(&stopped).unwrap().pid, None);
        assert_eq!(inspected(&json!([])), None);
        let listed: Vec<Listed> =
            serde_json::from_str(r#"[{"Id":"abc","Names":["web"],"State":"exited","Pid":0}]"#)
                .unwrap();
        assert_eq!((listed[0].names[0].as_str(), listed[0].state.as_str()), ("web", "exited"));
    }

    #[test]
    fn a_program_that_fails_is_quoted() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "echo no such thing >&2; exit 3"]);
        let why = ask(command).unwrap_err().to_string();
        assert!(why.contains("exit status: 3") && why.contains("no such thing"), "{why}");
        assert!(program("no-such-program-anywhere").is_none());
    }
}

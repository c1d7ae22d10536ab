//! The supervisor as a transient unit of the operator's service manager, `systemd-run --user`.
//!
//! The manager starts it as it starts anything else, with nothing of ours. So it comes to a socket
//! that we listen on, and is handed what a daemon would inherit: log, readiness pipe, arguments,
//! environment. The socket is a file in the operator's own runtime directory: abstract names are
//! open to every container on the host's network.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::geteuid;
use terok_hook::operator;
use terok_shared::container::ContainerId;
use terok_shared::descriptor_packet;
use terok_shared::placement::{ARGUMENT, Handover};

use crate::launch::Launch;

/// Leaves the other half of the hook's patience for a daemon.
const PATIENCE: Duration = Duration::from_secs(1);
/// The unit of the container's last run may need a moment to be forgotten.
const SECOND_TRY: Duration = Duration::from_millis(50);

#[derive(Debug)]
pub(crate) enum UnitError {
    /// Nobody answers at its socket.
    NoManager(String),
    /// In systemd-run's words.
    Refused(String),
    Late,
    Io {
        what: &'static str,
        why: io::Error,
    },
}

/// Starts the unit and hands it what it needs; its pid.
pub(crate) fn start(
    launch: &Launch,
    runtime_dir: &Path,
    readiness: &io::PipeWriter,
) -> Result<i32, UnitError> {
    let deadline = Instant::now() + PATIENCE;
    let manager = manager()?;
    let door = Door::open(runtime_dir, &launch.id)?;
    let unit = name(&launch.id);
    let mut said = String::new();
    for pause in [Duration::ZERO, SECOND_TRY] {
        std::thread::sleep(pause);
        match attempt(launch, &unit, &manager, &door, deadline)? {
            Attempt::Here(supervisor, pid) => {
                let descriptors = [launch.log.as_fd(), readiness.as_fd()];
                descriptor_packet::send(supervisor, &handover(launch), &descriptors)
                    .map_err(failed("hand over to the unit"))?;
                return Ok(pid);
            }
            Attempt::Refused(why) => said = why,
        }
    }
    Err(UnitError::Refused(said))
}

/// The unit of a container.
pub(crate) fn name(id: &ContainerId) -> String {
    format!("terok-supervisor-{}.service", id.short())
}

/// The manager's runtime directory, if it answers at its socket there.
fn manager() -> Result<PathBuf, UnitError> {
    let directory = operator::runtime_directory();
    let directory = directory.ok_or_else(|| UnitError::NoManager("no /run/user".to_owned()))?;
    let socket = directory.join("systemd/private");
    match UnixStream::connect(&socket) {
        Ok(_) => Ok(directory),
        Err(why) => Err(UnitError::NoManager(format!("{}: {why}", socket.display()))),
    }
}

enum Attempt {
    Here(UnixStream, i32),
    /// In systemd-run's words.
    Refused(String),
}

fn attempt(
    launch: &Launch,
    unit: &str,
    manager: &Path,
    door: &Door,
    deadline: Instant,
) -> Result<Attempt, UnitError> {
    let mut run =
        systemd_run(launch, unit, manager, door).spawn().map_err(failed("start systemd-run"))?;
    // Its end is that of the process, and the news that nobody comes.
    let mut errors = run.stderr.take();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let mut watched = vec![PollFd::new(door.listener.as_fd(), PollFlags::POLLIN)];
        watched.extend(errors.as_ref().map(|e| PollFd::new(e.as_fd(), PollFlags::POLLIN)));
        let happened = poll(&mut watched, left);
        let happened = happened.map_err(|why| failed("wait for the unit")(why.into()))?;
        let happens = |n: usize| watched.get(n).is_some_and(|fd| fd.any() == Some(true));
        let (here, said) = (happens(0), happens(1));
        if here && let Some((supervisor, pid)) = door.answer()? {
            // systemd-run ends by itself; whoever inherits it takes its status.
            return Ok(Attempt::Here(supervisor, pid));
        }
        if said
            && let Some(errors) = errors.take()
            && let Some(why) = words_at_the_end(&mut run, errors)?
        {
            return Ok(Attempt::Refused(why));
        }
        if happened == 0 {
            // One that ends in this moment is fine.
            let _ = run.kill().and_then(|()| run.wait());
            return Err(UnitError::Late);
        }
    }
}

fn systemd_run(launch: &Launch, unit: &str, manager: &Path, door: &Door) -> Command {
    let mut command = Command::new("systemd-run");
    command
        .args(["--user", "--quiet", "--collect", "--no-ask-password", "--unit", unit])
        .args(["--description", "terok: services of one container"])
        // The start has failed, not just the service, when the program cannot be executed.
        .args(["--property", "Type=exec"])
        // The supervisor ends its children; what it leaves is killed.
        .args(["--property", "KillMode=mixed", "--property", "TimeoutStopSec=2s"])
        .arg("--")
        .arg(&launch.program)
        .arg(ARGUMENT)
        .arg(&door.path)
        .env_clear()
        .env("PATH", operator::PATH)
        .env("XDG_RUNTIME_DIR", manager)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// What systemd-run said, if it did not end well. One that ended well has started the unit, which
/// is on its way to us.
fn words_at_the_end(run: &mut Child, errors: impl Read) -> Result<Option<String>, UnitError> {
    const MOST: u64 = 4096;
    let mut said = String::new();
    let heard = errors.take(MOST).read_to_string(&mut said);
    let status = heard.and_then(|_| run.wait()).map_err(failed("hear from systemd-run"))?;
    Ok((!status.success()).then(|| said.trim().to_owned()))
}

fn handover(launch: &Launch) -> Vec<u8> {
    let text = |path: &Path| path.to_str().map(str::to_owned);
    let environment = launch.environment.iter();
    let handover = Handover {
        arguments: launch.arguments.clone(),
        environment: environment
            .filter_map(|(name, value)| Some(((*name).to_owned(), text(value)?)))
            .collect(),
    };
    serde_json::to_vec(&handover).expect("a handover holds strings only")
}

/// Where the unit comes to; gone again when it came, or did not.
struct Door {
    listener: UnixListener,
    path: PathBuf,
}

impl Door {
    /// Nobody else makes one of this name: the sidecar is locked.
    fn open(runtime_dir: &Path, id: &ContainerId) -> Result<Self, UnitError> {
        let directory = DirBuilder::new().recursive(true).mode(0o700).create(runtime_dir);
        directory.map_err(failed("make the runtime directory"))?;
        let path = runtime_dir.join(format!("hook-{}.sock", id.short()));
        // Of a hook that was killed.
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).map_err(failed("listen for the unit"))?;
        Ok(Self { listener, path })
    }

    /// Who came, and its pid; nobody when it was not one of the operator's processes.
    fn answer(&self) -> Result<Option<(UnixStream, i32)>, UnitError> {
        let (stream, _) = self.listener.accept().map_err(failed("answer the unit"))?;
        let peer = getsockopt(&stream, PeerCredentials)
            .map_err(|why| failed("see who came for the unit")(why.into()))?;
        Ok((peer.uid() == geteuid().as_raw()).then_some((stream, peer.pid())))
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Nothing is served there any more.
        let _ = fs::remove_file(&self.path);
    }
}

fn failed(what: &'static str) -> impl Fn(io::Error) -> UnitError {
    move |why| UnitError::Io { what, why }
}

impl fmt::Display for UnitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoManager(why) => write!(f, "no user service manager answers ({why})"),
            Self::Refused(said) => write!(f, "systemd-run: {said}"),
            Self::Late => write!(f, "the unit did not come within {} s", PATIENCE.as_secs()),
            Self::Io { what, why } => write!(f, "{what}: {why}"),
        }
    }
}

impl std::error::Error for UnitError {}

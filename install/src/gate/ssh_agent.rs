//! Our signer for `ssh` on this host: a supervisor of its own with nothing but the vault's keys of
//! one scope, and before it a socket that speaks the agent protocol without our handshake.
//!
//! Everything it makes has a fresh name, belongs to this process and goes with it: the supervisor
//! watches us as it would watch a container.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use terok_shared::container::ContainerName;
use terok_shared::layout;
use terok_shared::secret::Secret;
use terok_shared::sibling;
use terok_shared::sidecar::{Sidecar, WriteError};
use vault_store::Vault;
use vault_store::scope::ScopeName;
use vault_store::token::TokenInfo;

use crate::Failure;
use crate::cli::UnlockArgs;
use crate::credential_name::SSH;
use crate::directories::Directories;
use crate::output::remark;
use crate::private_file;
use crate::setup::SUPERVISOR;

/// The supervisor binds its sockets before anything slow.
const BOUND_WITHIN: Duration = Duration::from_secs(5);
/// What a supervisor needs to end its children, and a little more.
const ENDED_WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) enum AgentError {
    Random(String),
    Name(String),
    Sidecar(WriteError),
    Io { doing: &'static str, path: PathBuf, why: io::Error },
    Start { program: PathBuf, why: io::Error },
    NotBound { said: String },
}

/// Ended when dropped.
#[derive(Debug)]
pub(super) struct Agent {
    socket: PathBuf,
    _made: Made,
}

/// What has to go again.
#[derive(Debug)]
struct Made {
    vault: Vault,
    token: Secret<String>,
    sidecar: PathBuf,
    directory: PathBuf,
    supervisor: Option<Child>,
}

impl Agent {
    /// Serves the keys of `scope` to processes of this user until it is dropped.
    pub(super) fn start(
        directories: &Directories,
        mut vault: Vault,
        scope: &ScopeName,
        unlock: &UnlockArgs,
    ) -> Result<Self, Failure> {
        let name = fresh_name()?;
        let token = vault.mint_token(&TokenInfo {
            scope: scope.to_string(),
            subject: name.to_string(),
            credential_set: "default".to_owned(),
            provider: SSH.to_owned(),
        })?;
        let directory = layout::socket_directory(&directories.runtime, &name);
        let sidecar = directories.state.sidecar(&name);
        let mut made = Made { vault, token, sidecar, directory, supervisor: None };
        made.write_sidecar(directories, &name, scope, unlock)?;
        made.start_supervisor()?;
        let signer = made.directory.join(layout::SIGNER_SOCKET);
        made.wait_for(&signer)?;
        let socket = made.directory.join("agent");
        let listener = UnixListener::bind(&socket).map_err(io_error("bind", &socket))?;
        let token = Arc::new(Secret::from(made.token.expose().clone()));
        thread::spawn(move || accept(&listener, &signer, &token));
        Ok(Self { socket, _made: made })
    }

    /// For `GIT_SSH_COMMAND`: no key but ours, no question to anybody.
    pub(super) fn ssh_command(&self) -> String {
        let agent = format!("IdentityAgent={}", self.socket.display());
        let words = ["ssh", "-o", &agent, "-o", "IdentityFile=none", "-o", "BatchMode=yes", "-a"];
        shlex::try_join(words).expect("a path that could be bound has no NUL")
    }
}

fn fresh_name() -> Result<ContainerName, AgentError> {
    let mut random = [0u8; 6];
    getrandom::fill(&mut random).map_err(|why| AgentError::Random(why.to_string()))?;
    ContainerName::parse(&format!("gate-sync-{}", hex::encode(random)))
        .map_err(|why| AgentError::Name(why.to_string()))
}

impl Made {
    fn write_sidecar(
        &self,
        directories: &Directories,
        name: &ContainerName,
        scope: &ScopeName,
        unlock: &UnlockArgs,
    ) -> Result<(), AgentError> {
        private_file::make_directory(&self.directory).map_err(io_error("make", &self.directory))?;
        let preferences = &directories.preferences;
        let sidecar = Sidecar {
            use_keyring: preferences.use_keyring(unlock),
            passphrase_command: preferences.passphrase_command(unlock),
            scope_id: scope.to_string(),
            token_subject: Some(name.to_string()),
            ..Sidecar::new(name.clone(), directories.database(), directories.runtime.clone())
        };
        sidecar.write(&directories.state).map(drop).map_err(AgentError::Sidecar)
    }

    fn start_supervisor(&mut self) -> Result<(), Failure> {
        let program = sibling::program(SUPERVISOR)?;
        let mut command = Command::new(&program);
        command
            .arg("--sidecar")
            .arg(&self.sidecar)
            .args(["--container-pid", &std::process::id().to_string()])
            .env("TEROK_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let spawned = command.spawn().map_err(|why| AgentError::Start { program, why })?;
        self.supervisor = Some(spawned);
        Ok(())
    }

    fn wait_for(&mut self, socket: &Path) -> Result<(), AgentError> {
        let start = Instant::now();
        let child = self.supervisor.as_mut().expect("it was started");
        while UnixStream::connect(socket).is_err() {
            let ended = !matches!(child.try_wait(), Ok(None));
            if ended || start.elapsed() > BOUND_WITHIN {
                let _ = child.kill();
                let said = child.stderr.take().map(io::read_to_string);
                let said = said.and_then(Result::ok).unwrap_or_default();
                return Err(AgentError::NotBound { said: said.trim().to_owned() });
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn end_supervisor(&mut self) {
        let Some(mut child) = self.supervisor.take() else { return };
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        let start = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && start.elapsed() < ENDED_WITHIN {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = child.kill();
        let _ = child.wait();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        self.end_supervisor();
        if let Err(why) = self.vault.revoke_token(self.token.expose()) {
            remark(&format!("warning: a token for the upstream's keys stays: {why}"));
        }
        for gone in [fs::remove_file(&self.sidecar), fs::remove_dir_all(&self.directory)] {
            if let Err(why) = gone
                && why.kind() != io::ErrorKind::NotFound
            {
                remark(&format!("warning: clean up after {}: {why}", self.sidecar.display()));
            }
        }
    }
}

/// Ends with the process.
fn accept(listener: &UnixListener, signer: &Path, token: &Arc<Secret<String>>) {
    for client in listener.incoming().flatten() {
        let (signer, token) = (signer.to_owned(), Arc::clone(token));
        thread::spawn(move || {
            if let Err(why) = serve(client, &signer, &token) {
                log::warn!("pass an agent's client on: {why}");
            }
        });
    }
}

/// The handshake of our signer (length and phantom token), then bytes both ways.
fn serve(client: UnixStream, signer: &Path, token: &Secret<String>) -> io::Result<()> {
    let mut server = UnixStream::connect(signer)?;
    let length = u32::try_from(token.expose().len()).map_err(io::Error::other)?;
    server.write_all(&length.to_be_bytes())?;
    server.write_all(token.expose().as_bytes())?;
    let (mut to_server, mut from_client) = (server.try_clone()?, client.try_clone()?);
    let up = thread::spawn(move || {
        let _ = io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(Shutdown::Write);
    });
    let mut client = client;
    let copied = io::copy(&mut server, &mut client).map(drop);
    let _ = client.shutdown(Shutdown::Both);
    let _ = up.join();
    copied
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> AgentError {
    move |why| AgentError::Io { doing, path: path.to_owned(), why }
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random(why) => write!(f, "make a name: {why}"),
            Self::Sidecar(why) => why.fmt(f),
            Self::Name(why) => write!(f, "make a name for our signer: {why}"),
            Self::Io { doing, path, why } => write!(f, "{doing} {}: {why}", path.display()),
            Self::Start { program, why } => write!(f, "start {}: {why}", program.display()),
            Self::NotBound { said } if said.is_empty() => {
                write!(f, "start our signer: it does not listen")
            }
            Self::NotBound { said } => write!(f, "start our signer: {said}"),
        }
    }
}

impl std::error::Error for AgentError {}

//! The sidecar: one JSON file per container that says what to serve it.
//!
//! `open` finds the file and refuses what somebody else could have written; `wire` reads typed
//! members out of the JSON; this file says what a sidecar means; `write` makes one. The JSON Schema
//! of the file is `schema/sidecar.json`.
//!
//! A launcher writes one before the container's start and annotates the container with its path:
//!
//! ```
//! use terok_shared::annotation;
//! use terok_shared::container::ContainerName;
//! use terok_shared::layout::StateRoot;
//! use terok_shared::sidecar::{self, Sidecar};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! let root = StateRoot::new(home.path().join(".local/share/terok/sandbox"));
//! let vault = home.path().join(".local/share/terok/vault/credentials.db");
//! let mut web = Sidecar::new(
//!     ContainerName::parse("web")?,
//!     vault,
//!     "/run/user/1000/terok/sandbox".into(),
//! );
//! web.scope_id = "app".to_owned();
//! web.token_subject = Some("web".to_owned()); // only this container's tokens
//! web.required = true; // no container without its supervisor
//! let path = web.write(&root)?;
//! let flag = format!("--annotation={}={}", annotation::KEY, path.as_path().display());
//! assert!(flag.ends_with("/sidecar/web.json"));
//!
//! // The hook and the supervisor read it like this.
//! let (_, json) = sidecar::read(&path)?;
//! let read = Sidecar::parse(path.as_path(), &json)?;
//! assert_eq!(read.token_subject.as_deref(), Some("web"));
//! # Ok(())
//! # }
//! ```

mod open;
mod wire;
mod write;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use open::{MAX_BYTES, OpenError, read};
pub use wire::FieldError;
pub use write::WriteError;

use crate::container::ContainerName;
use crate::layout;
use crate::placement::Placement;
use crate::secret::Secret;
use wire::Members;

/// The release of the Python package terok-sandbox whose sidecars these are.
pub const CONTRACT: &str = "0.6.0";

/// A key derivation is paid again after it.
pub const LEAVE_AFTER: Duration = Duration::from_secs(300);

/// A sidecar whose every member has been checked.
#[derive(Debug)]
pub struct Sidecar {
    pub container_name: ContainerName,
    pub ipc: Ipc,
    pub db_path: PathBuf,
    pub runtime_dir: PathBuf,
    pub routes_path: PathBuf,
    /// The passphrase sealed by systemd-creds, used when the file exists.
    pub sealed_passphrase: PathBuf,
    pub use_keyring: bool,
    /// A helper that prints the passphrase; its text may itself be sensitive.
    pub passphrase_command: Option<Secret<String>>,
    pub scope_id: String,
    pub project_id: String,
    pub task_id: String,
    pub gate: Option<Gate>,
    /// Another tool's file; carried, not used.
    pub dossier_path: Option<PathBuf>,
    pub allow_debugger: bool,
    /// Extension: only tokens of this subject are honoured.
    pub token_subject: Option<String>,
    /// Extension: the container must not start without its supervisor.
    pub required: bool,
    /// Extension: when its services are started.
    pub activation: Activation,
    /// Extension: the phantom token of a plain agent socket, where one is wanted.
    pub agent_token: Option<Secret<String>>,
    /// Extension: ports of the container's own loopback to serve on as well.
    pub loopback: Option<Loopback>,
    /// Extension: among whose processes the supervisor lives, where it matters.
    pub placement: Option<Placement>,
    /// Extension: whether the static markers of known clients are honoured.
    pub static_markers: bool,
    /// Extension: by provider, the phantom tokens that static markers stand for here.
    pub marker_tokens: Vec<(String, Secret<String>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ipc {
    Socket,
    Tcp(Ports),
}

/// Ports of the host's loopback; a service without one fails alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    pub broker: Option<u16>,
    pub signer: Option<u16>,
    pub gate: Option<u16>,
}

impl Ipc {
    pub fn broker_port(self) -> Option<u16> {
        self.ports().broker
    }

    pub fn signer_port(self) -> Option<u16> {
        self.ports().signer
    }

    pub fn gate_port(self) -> Option<u16> {
        self.ports().gate
    }

    fn ports(self) -> Ports {
        match self {
            Self::Socket => Ports::default(),
            Self::Tcp(ports) => ports,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// With the container.
    Eager,
    /// By their first client; they leave when nobody came for `leave_after`.
    OnDemand { leave_after: Duration },
}

/// Ports of 127.0.0.1 inside the container's network namespace; at least one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loopback {
    pub vault: Option<u16>,
    pub gate: Option<u16>,
}

/// The git gate's wiring: both members or none.
#[derive(Debug)]
pub struct Gate {
    pub base_path: PathBuf,
    pub token: Secret<String>,
    /// Extension: what may be pushed. The gate reads it, so that a malformed one costs pushes
    /// and not the container.
    pub policy: Option<serde_json::Value>,
}

#[derive(Debug)]
pub enum SidecarError {
    TooLarge { file: PathBuf, bytes: usize },
    NotJson { file: PathBuf, why: serde_json::Error },
    NotAnObject { file: PathBuf, kind: &'static str },
    Member { file: PathBuf, why: FieldError },
}

impl Sidecar {
    /// Reads the JSON text of `file`; the path is used in messages alone.
    pub fn parse(file: &Path, json: &[u8]) -> Result<Self, SidecarError> {
        let members = Members::parse(file, json)?;
        Self::from_members(&members)
            .map_err(|why| SidecarError::Member { file: file.to_owned(), why })
    }

    fn from_members(members: &Members) -> Result<Self, FieldError> {
        let container_name = members.required_string("container_name")?;
        let container_name = ContainerName::parse(&container_name)
            .map_err(|why| FieldError::new("container_name", why.to_string()))?;
        let db_path = members.required_path("db_path")?;
        Ok(Self {
            container_name,
            ipc: ipc(members)?,
            runtime_dir: members.required_path("runtime_dir")?,
            routes_path: members
                .path("routes_path")?
                .unwrap_or_else(|| layout::routes_beside(&db_path)),
            sealed_passphrase: members
                .path("vault_systemd_creds_file")?
                .unwrap_or_else(|| layout::sealed_passphrase_beside(&db_path)),
            use_keyring: members.boolean("credentials_use_keyring")?.unwrap_or(false),
            passphrase_command: members
                .string("credentials_passphrase_command")?
                .filter(|command| !command.trim().is_empty())
                .map(Secret::from),
            scope_id: members.string("scope_id")?.unwrap_or_default(),
            project_id: members.string("project_id")?.unwrap_or_default(),
            task_id: members.string("task_id")?.unwrap_or_default(),
            gate: gate(members)?,
            dossier_path: members.path("dossier_path")?,
            allow_debugger: members.boolean("allow_debugger")?.unwrap_or(false),
            token_subject: members.string("token_subject")?,
            required: members.boolean("required")?.unwrap_or(false),
            activation: activation(members)?,
            agent_token: agent_token(members)?,
            loopback: loopback(members)?,
            static_markers: members.boolean("static_markers")?.unwrap_or(true),
            placement: placement(members)?,
            marker_tokens: members
                .strings("marker_tokens")?
                .into_iter()
                .map(|(provider, token)| (provider, token.into()))
                .collect(),
            db_path,
        })
    }
}

/// Whether a sidecar asks for `required`, read leniently: a file that is malformed elsewhere
/// must still be able to stop its container.
pub fn insists(json: &[u8]) -> bool {
    json.len() <= MAX_BYTES
        && serde_json::from_slice::<serde_json::Value>(json)
            .is_ok_and(|value| value.get("required") == Some(&serde_json::Value::Bool(true)))
}

fn ipc(members: &Members) -> Result<Ipc, FieldError> {
    let ports = Ports {
        broker: members.port("tcp_port")?,
        signer: members.port("ssh_signer_port")?,
        gate: members.port("gate_port")?,
    };
    match members.string("ipc_mode")?.as_deref() {
        None | Some("socket") => Ok(Ipc::Socket),
        Some("tcp") => Ok(Ipc::Tcp(ports)),
        Some(other) => Err(FieldError::new(
            "ipc_mode",
            format!("expected `socket` or `tcp`, found the string {other:?}"),
        )),
    }
}

fn activation(members: &Members) -> Result<Activation, FieldError> {
    // A malformed one is told also where it would not matter yet.
    let leave_after = members.seconds("leave_after_s")?.unwrap_or(LEAVE_AFTER);
    match members.string("activation")?.as_deref() {
        None | Some("eager") => Ok(Activation::Eager),
        Some("on-demand") => Ok(Activation::OnDemand { leave_after }),
        Some(other) => Err(FieldError::new(
            "activation",
            format!("expected `eager` or `on-demand`, found the string {other:?}"),
        )),
    }
}

fn placement(members: &Members) -> Result<Option<Placement>, FieldError> {
    const KEY: &str = "placement";
    let Some(word) = members.string(KEY)? else { return Ok(None) };
    let placement = Placement::parse(&word).ok_or_else(|| {
        FieldError::new(KEY, format!("expected {}, found the string {word:?}", Placement::WORDS))
    });
    placement.map(Some)
}

/// Clients of the plain socket present no token, so the sidecar names the one they have.
fn agent_token(members: &Members) -> Result<Option<Secret<String>>, FieldError> {
    let token = members.string("ssh_token")?.filter(|token| !token.is_empty());
    match (members.boolean("agent_socket")?.unwrap_or(false), token) {
        (false, _) => Ok(None),
        (true, Some(token)) => Ok(Some(token.into())),
        (true, None) => Err(FieldError::new(
            "agent_socket",
            "needs `ssh_token`, the phantom token its clients have",
        )),
    }
}

fn loopback(members: &Members) -> Result<Option<Loopback>, FieldError> {
    const KEY: &str = "loopback";
    let Some(ports) = members.object(KEY)? else { return Ok(None) };
    let within = |why: FieldError| why.within(KEY);
    let loopback = Loopback {
        vault: ports.port("vault").map_err(within)?,
        gate: ports.port("gate").map_err(within)?,
    };
    if let Some(unknown) = ports.besides(&["vault", "gate"]) {
        let why = format!("has a member {unknown:?}, expected `vault` or `gate`");
        return Err(FieldError::new(KEY, why));
    }
    if loopback.vault.is_none() && loopback.gate.is_none() {
        return Err(FieldError::new(KEY, "names neither `vault` nor `gate`"));
    }
    if loopback.vault == loopback.gate {
        return Err(FieldError::new(KEY, "gives `vault` and `gate` the same port"));
    }
    Ok(Some(loopback))
}

fn gate(members: &Members) -> Result<Option<Gate>, FieldError> {
    let base_path = members.path("gate_base_path")?;
    let token = members.string("gate_token")?.filter(|token| !token.is_empty());
    let policy = members.unread("gate_policy");
    let wired = base_path.zip(token);
    Ok(wired.map(|(base_path, token)| Gate { base_path, token: token.into(), policy }))
}

impl fmt::Display for SidecarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { file, bytes } => {
                write!(f, "sidecar {}: {bytes} bytes, at most {MAX_BYTES}", file.display())
            }
            Self::NotJson { file, why } => {
                write!(
                    f,
                    "sidecar {}: not JSON at line {} column {}",
                    file.display(),
                    why.line(),
                    why.column()
                )
            }
            Self::NotAnObject { file, kind } => {
                write!(f, "sidecar {}: expected an object, found {kind}", file.display())
            }
            Self::Member { file, why } => write!(f, "sidecar {}: {why}", file.display()),
        }
    }
}

impl std::error::Error for SidecarError {}

#[cfg(test)]
mod tests;

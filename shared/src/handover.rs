//! What the parent hands a service: its slice of the sidecar on standard input, and descriptors
//! at fixed numbers. The words both sides use, and nothing that does anything.

use std::os::fd::RawFd;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Written once, one byte, when the service serves; closed without it when it could not start.
pub const READY_FD: RawFd = 3;
/// The listening socket, bound by the parent.
pub const LISTENER_FD: RawFd = 4;
/// A `SOCK_SEQPACKET` pair's end: the keeper's line to the broker, or the broker's or signer's
/// line to the keeper.
pub const LINE_FD: RawFd = 5;
/// The keeper's second line, to the signer.
pub const SIGNER_LINE_FD: RawFd = 6;
/// The audit file, opened for appending.
pub const AUDIT_FD: RawFd = 7;
/// A second listening socket, bound inside the container's own network namespace.
pub const LOOPBACK_LISTENER_FD: RawFd = 8;
/// The signer's second listening socket: an agent socket without a handshake.
pub const AGENT_LISTENER_FD: RawFd = 9;
/// The container's pid namespace, to tell that listener's clients from strangers.
pub const CONTAINER_PIDS_FD: RawFd = 10;
/// In its place on a kernel that answers nobody by it: a packet pair's end, where the parent says
/// which process lives in the container.
pub const WITNESS_FD: RawFd = 11;
/// Everything from here on is stray.
pub const FIRST_STRAY_FD: RawFd = 12;

/// What every service is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Common {
    /// The parent, to notice that it died before the parent-death signal was armed.
    pub parent_pid: i32,
    /// Leaves the process ptrace-able; lifts no other barrier.
    pub allow_debugger: bool,
    pub container_name: String,
    /// Seconds without a client after which the service may end; it is started again by the next.
    pub leave_after: Option<u64>,
}

/// A service's standard input: one JSON text, then end of file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Slice<S> {
    pub common: Common,
    pub service: S,
}

#[derive(Serialize, Deserialize)]
pub struct KeeperSlice {
    pub db_path: PathBuf,
    pub sealed_passphrase: PathBuf,
    pub use_keyring: bool,
    pub passphrase_command: Option<String>,
    pub session_directories: Vec<PathBuf>,
    pub refresh_locks: PathBuf,
    pub limits: TokenLimits,
}

/// Which tokens this container may use at all; the keeper grants nothing outside.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct TokenLimits {
    /// When not empty, a token's scope must be this one.
    pub scope_id: String,
    /// When set, a token's subject must be this one.
    pub token_subject: Option<String>,
    /// Whether the static markers of known clients are honoured.
    pub static_markers: bool,
    /// By provider, the phantom tokens that static markers stand for instead.
    #[serde(default)]
    pub marker_tokens: Vec<(String, String)>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct BrokerSlice {
    pub routes_path: PathBuf,
}

#[derive(Serialize, Deserialize)]
pub struct SignerSlice {
    /// The token of those who come in without a handshake.
    pub agent_token: Option<String>,
}

#[derive(Serialize, Deserialize)]
pub struct GateSlice {
    pub base_path: PathBuf,
    /// The one repository the token opens: `<project_id>.git`.
    pub project_id: String,
    pub token: String,
    /// What may be pushed, unread: a malformed policy costs pushes, not the container.
    #[serde(default)]
    pub policy: Option<serde_json::Value>,
}

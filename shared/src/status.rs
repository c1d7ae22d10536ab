//! What a running supervisor tells about itself, in `<root>/pids/supervisor-<id>.status`.
//!
//! The file is as true as its process: a reader compares pid and start time with the kernel.

use serde::{Deserialize, Serialize};

use crate::process::Process;

/// Bound for a reader, in bytes.
pub const MAX_BYTES: u64 = 64 * 1024;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub container_name: String,
    pub pid: i32,
    /// Start time of that process in clock ticks since boot.
    pub started: u64,
    pub services: Vec<ServiceStatus>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    pub service: String,
    pub state: ServiceState,
    pub pid: Option<u32>,
    /// Start time of that process in clock ticks since boot.
    #[serde(default)]
    pub started: Option<u64>,
    pub restarts: u32,
    pub last_error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceState {
    /// Started by its first client.
    Dormant,
    Starting,
    Running,
    Restarting,
    /// Ended too often in a row; a supervisor started anew would try again.
    Failed,
    /// Its part of the sidecar cannot be used: trying again changes nothing.
    GivenUp,
}

impl Status {
    /// The supervisor that wrote this.
    pub fn supervisor(&self) -> Process {
        Process::recorded(self.pid, self.started)
    }
}

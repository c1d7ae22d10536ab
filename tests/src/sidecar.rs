//! A sidecar as a launcher writes it, to be changed member by member.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::fixtures;
use crate::house::House;

pub const GATE_TOKEN: &str = "terok-g-ae3de36d64be5c5f7cb64ceae9084a4d";

#[derive(Clone, Debug)]
pub struct Sidecar {
    members: Value,
}

impl Sidecar {
    /// Socket mode, the vault's scope, no gate.
    pub fn of(house: &House, name: &str) -> Self {
        let passphrase = house.passphrase_file();
        let members = json!({
            "container_name": name,
            "ipc_mode": "socket",
            "db_path": house.db_path(),
            "routes_path": house.routes_path(),
            "credentials_use_keyring": false,
            "credentials_passphrase_command": format!("cat {}", passphrase.display()),
            "scope_id": fixtures::SCOPE,
            "project_id": fixtures::SCOPE,
            "task_id": "",
            "runtime_dir": house.runtime_dir(),
        });
        Self { members }
    }

    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.members[key] = value.into();
        self
    }

    pub fn without(mut self, key: &str) -> Self {
        self.members.as_object_mut().expect("members are an object").remove(key);
        self
    }

    /// Wires the gate to the house's mirrors.
    pub fn with_gate(self, house: &House) -> Self {
        let base = house.mirrors();
        self.with("gate_base_path", base.to_str().unwrap()).with("gate_token", GATE_TOKEN)
    }

    /// TCP mode on these ports of the loopback: broker, signer, gate.
    pub fn on_ports(self, [broker, signer, gate]: [u16; 3]) -> Self {
        self.with("ipc_mode", "tcp")
            .with("tcp_port", broker)
            .with("ssh_signer_port", signer)
            .with("gate_port", gate)
    }

    pub fn name(&self) -> &str {
        self.members["container_name"].as_str().expect("a name")
    }

    pub fn text(&self) -> String {
        self.members.to_string()
    }
}

/// Writes a sidecar's text with mode 0600.
pub fn write(path: &Path, text: impl AsRef<[u8]>) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

//! Each service's slice of the sidecar: what it needs to know and nothing else, as the JSON text
//! on its standard input.

use std::path::PathBuf;

use serde::Serialize;
use terok_shared::handover::{
    BrokerSlice, Common, GateSlice, KeeperSlice, SignerSlice, Slice, TokenLimits,
};
use terok_shared::layout;
use terok_shared::secret::Secret;
use terok_shared::service::Service;
use terok_shared::sidecar::{Activation, Sidecar};

/// The text for `service`, started by `parent_pid`. `None` for a gate that is not wired.
pub(crate) fn text(
    sidecar: &Sidecar,
    service: Service,
    parent_pid: i32,
    xdg_runtime_dir: Option<PathBuf>,
) -> Option<Secret<Vec<u8>>> {
    let common = Common {
        parent_pid,
        allow_debugger: sidecar.allow_debugger,
        container_name: sidecar.container_name.to_string(),
        leave_after: match sidecar.activation {
            Activation::Eager => None,
            Activation::OnDemand { leave_after } => Some(leave_after.as_secs()),
        },
    };
    Some(match service {
        Service::Keeper => json(common, keeper(sidecar, xdg_runtime_dir)),
        Service::Broker => json(common, BrokerSlice { routes_path: sidecar.routes_path.clone() }),
        Service::Signer => {
            let agent_token = sidecar.agent_token.as_ref().map(|token| token.expose().clone());
            json(common, SignerSlice { agent_token })
        }
        Service::Gate => {
            let gate = sidecar.gate.as_ref()?;
            json(
                common,
                GateSlice {
                    base_path: gate.base_path.clone(),
                    project_id: sidecar.project_id.clone(),
                    token: gate.token.expose().clone(),
                    policy: gate.policy.clone(),
                },
            )
        }
    })
}

fn keeper(sidecar: &Sidecar, xdg_runtime_dir: Option<PathBuf>) -> KeeperSlice {
    KeeperSlice {
        db_path: sidecar.db_path.clone(),
        sealed_passphrase: sidecar.sealed_passphrase.clone(),
        use_keyring: sidecar.use_keyring,
        passphrase_command: sidecar.passphrase_command.as_ref().map(|c| c.expose().clone()),
        session_directories: layout::session_directories(
            xdg_runtime_dir.as_deref(),
            &sidecar.runtime_dir,
        ),
        refresh_locks: layout::refresh_locks(&sidecar.runtime_dir),
        limits: TokenLimits {
            scope_id: sidecar.scope_id.clone(),
            token_subject: sidecar.token_subject.clone(),
            static_markers: sidecar.static_markers,
            marker_tokens: sidecar
                .marker_tokens
                .iter()
                .map(|(provider, token)| (provider.clone(), token.expose().clone()))
                .collect(),
        },
    }
}

fn json<S: Serialize>(common: Common, service: S) -> Secret<Vec<u8>> {
    let slice = Slice { common, service };
    // Paths came out of JSON text, so they are text.
    Secret::from(serde_json::to_vec(&slice).expect("a slice holds strings and numbers only"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn a_gates_policy_reaches_it_as_it_is() {
        let mut json: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/fixtures/sidecar/socket.json")).unwrap();
        json["gate_policy"] = serde_json::json!({ "protected": ["refs/heads/main"] });
        let json = json.to_string();
        let sidecar = Sidecar::parse(Path::new("/s/sidecar/c1.json"), json.as_bytes()).unwrap();
        let text = text(&sidecar, Service::Gate, 1, None).unwrap();
        let slice: Slice<GateSlice> = serde_json::from_slice(text.expose()).unwrap();
        assert_eq!(slice.service.policy.unwrap()["protected"][0], "refs/heads/main");
    }

    #[test]
    fn only_the_gate_learns_its_token_and_only_the_keeper_the_passphrase_command() {
        let json = include_bytes!("../../tests/fixtures/sidecar/socket.json");
        let sidecar = Sidecar::parse(Path::new("/s/sidecar/c1.json"), json).unwrap();
        for service in Service::ALL {
            let text = text(&sidecar, service, 1, None).unwrap();
            let text = String::from_utf8_lossy(text.expose()).into_owned();
            assert_eq!(text.contains("terok-g-"), service == Service::Gate, "{service}");
            assert_eq!(text.contains(".secrets"), service == Service::Keeper, "{service}");
        }
    }
}

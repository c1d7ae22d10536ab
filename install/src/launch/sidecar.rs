//! The sidecar's text: what the hook and the supervisor are told about one container.
//!
//! In: a plan, its ports and gate token. Out: JSON that our own reader has accepted, with every
//! member that readers before us expect.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Serialize;
use terok_shared::endpoint::{self, EndpointError};
use terok_shared::layout;
use terok_shared::secret::Secret;
use terok_shared::service::Service;
use terok_shared::sidecar::{Sidecar, SidecarError};
use terok_shared::token::STATIC_MARKERS;

use super::environment::{BRIDGED_BROKER_PORT, BRIDGED_GATE_PORT, Granted};
use super::plan::Plan;
use crate::cli::{Activation, Mode, Placement};

/// Members in the contract's order. `Option`s that are `None` are left out, but for the
/// passphrase command, which older readers look up.
#[derive(Serialize)]
struct Text<'a> {
    container_name: &'a str,
    ipc_mode: &'static str,
    db_path: &'a Path,
    routes_path: &'a Path,
    vault_systemd_creds_file: &'a Path,
    credentials_use_keyring: bool,
    credentials_passphrase_command: Option<&'a str>,
    scope_id: &'a str,
    project_id: &'a str,
    task_id: &'static str,
    runtime_dir: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssh_signer_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate_base_path: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate_token: Option<&'a str>,
    token_subject: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    activation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leave_after_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    placement: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loopback: Option<Loopback>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    agent_socket: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssh_token: Option<&'a str>,
    /// A marker stands for what this container was given, or for nothing.
    static_markers: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    marker_tokens: BTreeMap<&'a str, &'a str>,
}

/// Ports of the container's own loopback.
#[derive(Serialize)]
struct Loopback {
    vault: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<u16>,
}

#[derive(Debug)]
pub(super) enum TextError {
    Sidecar(SidecarError),
    /// A socket whose path would be too long to bind.
    Endpoint(EndpointError),
}

/// The text for a plan. It may hold the gate's token and phantom tokens.
///
/// # Errors
/// What a supervisor would refuse later, told now.
pub(super) fn text(plan: &Plan, granted: &Granted) -> Result<Secret<Vec<u8>>, TextError> {
    let ports = granted.ports;
    let gate = plan.gate.as_ref().zip(granted.gate.as_ref());
    let agent = granted.ssh.as_ref().filter(|_| granted.plain_agent);
    let text = Text {
        container_name: plan.name.as_str(),
        ipc_mode: match plan.mode {
            Mode::Socket => "socket",
            Mode::Tcp => "tcp",
        },
        db_path: &plan.database,
        routes_path: &plan.routes,
        vault_systemd_creds_file: &layout::sealed_passphrase_beside(&plan.database),
        credentials_use_keyring: plan.use_keyring,
        credentials_passphrase_command: plan.passphrase_command.as_deref(),
        scope_id: plan.scope.as_str(),
        project_id: &plan.project,
        task_id: "",
        runtime_dir: &plan.runtime_dir,
        tcp_port: ports.map(|ports| ports.broker),
        ssh_signer_port: ports.map(|ports| ports.signer),
        gate_port: ports.filter(|_| gate.is_some()).map(|ports| ports.gate),
        gate_base_path: gate.map(|(gate, _)| gate.base.as_path()),
        gate_token: gate.map(|(_, token)| token.expose().as_str()),
        token_subject: plan.name.as_str(),
        required: plan.required,
        activation: (plan.activation == Activation::OnDemand).then_some("on-demand"),
        placement: match plan.placement {
            Placement::Auto => None,
            Placement::Daemon => Some("daemon"),
            Placement::Unit => Some("unit"),
        },
        leave_after_s: plan.leave_after,
        loopback: plan.loopback.then(|| Loopback {
            vault: BRIDGED_BROKER_PORT,
            gate: gate.map(|_| BRIDGED_GATE_PORT),
        }),
        agent_socket: agent.is_some(),
        ssh_token: agent.map(|token| token.expose().as_str()),
        static_markers: false,
        marker_tokens: granted
            .providers
            .iter()
            .map(|provider| (provider.name.as_str(), provider.token.expose().as_str()))
            .filter(|(name, _)| STATIC_MARKERS.iter().any(|(_, provider)| provider == name))
            .collect(),
    };
    let json = serde_json::to_vec_pretty(&text).expect("the plan's paths are UTF-8");
    let json = Secret::from(json);
    accept(plan, &json)?;
    Ok(json)
}

fn accept(plan: &Plan, json: &Secret<Vec<u8>>) -> Result<(), TextError> {
    let sidecar =
        Sidecar::parse(plan.sidecar.as_path(), json.expose()).map_err(TextError::Sidecar)?;
    for service in Service::ALL {
        if let Some(endpoint) = endpoint::of(&sidecar, service) {
            endpoint.map_err(TextError::Endpoint)?;
        }
    }
    Ok(())
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sidecar(why) => why.fmt(f),
            Self::Endpoint(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for TextError {}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::environment::GrantedProvider;
    use super::super::plan::tests::plan;
    use super::super::ports::Ports;
    use super::*;
    use crate::credential_name::ProviderName;

    const PORTS: Ports = Ports { broker: 4001, signer: 4002, gate: 4003 };

    fn granted(ports: Option<Ports>, gate_token: Option<&str>) -> Granted {
        let gate = gate_token.map(|token| Secret::from(token.to_owned()));
        Granted { ports, providers: vec![], ssh: None, plain_agent: false, gate }
    }

    fn json(words: &str, ports: Option<Ports>, gate_token: Option<&str>) -> Value {
        json_of(words, &granted(ports, gate_token))
    }

    fn json_of(words: &str, granted: &Granted) -> Value {
        let text = text(&plan(words).unwrap(), granted).unwrap();
        serde_json::from_slice(text.expose()).unwrap()
    }

    #[test]
    fn every_member_an_older_reader_expects_is_there() {
        let ours = json("c1 --project proj1 --gate", None, Some("terok-g-1"));
        let theirs: Value =
            serde_json::from_str(include_str!("../../../tests/fixtures/sidecar/socket.json"))
                .unwrap();
        for (key, value) in theirs.as_object().unwrap() {
            let ours = ours.get(key).unwrap_or_else(|| panic!("{key} is missing"));
            assert!(ours.is_string() == value.is_string() || ours.is_null(), "{key}");
        }
        assert_eq!(ours["token_subject"], "c1");
        assert!(ours.get("required").is_none() && ours.get("tcp_port").is_none());
    }

    #[test]
    fn tcp_mode_names_the_ports_of_what_is_wired() {
        let open = json("web --mode tcp", Some(PORTS), None);
        assert_eq!((&open["tcp_port"], &open["ssh_signer_port"]), (&4001.into(), &4002.into()));
        assert!(open.get("gate_port").is_none());
        let gated = json("web --mode tcp --project p --gate", Some(PORTS), Some("terok-g-1"));
        assert_eq!(gated["gate_port"], 4003);
    }

    #[test]
    fn the_containers_own_loopback_is_asked_for_by_port() {
        assert!(json("web", None, None).get("loopback").is_none());
        let open = json("web --loopback", None, None);
        assert_eq!(open["loopback"], serde_json::json!({ "vault": 9419 }));
        let gated = json("web --loopback --project p --gate", None, Some("terok-g-1"));
        assert_eq!(gated["loopback"], serde_json::json!({ "vault": 9419, "gate": 9418 }));
        assert!(plan("web --loopback --mode tcp").is_err());
    }

    #[test]
    fn a_plain_agent_socket_comes_with_its_token() {
        let ssh = |plain_agent| Granted {
            ssh: Some("terok-p-ssh".to_owned().into()),
            plain_agent,
            ..granted(None, None)
        };
        let plain = json_of("web", &ssh(true));
        assert_eq!(
            (&plain["agent_socket"], &plain["ssh_token"]),
            (&true.into(), &"terok-p-ssh".into())
        );
        let bridged = json_of("web", &ssh(false));
        assert!(bridged.get("agent_socket").is_none() && bridged.get("ssh_token").is_none());
    }

    #[test]
    fn a_marker_stands_for_what_was_granted_and_for_nothing_else() {
        let provider = |name: &str| GrantedProvider {
            name: ProviderName::parse(name).unwrap(),
            kind: vault_store::credential::Kind::OAuth,
            token: format!("terok-p-{name}").into(),
            file: None,
        };
        let mut granted = granted(None, None);
        assert!(json_of("web", &granted).get("marker_tokens").is_none());
        granted.providers = vec![provider("anthropic"), provider("github")];
        let json = json_of("web", &granted);
        assert_eq!(json["marker_tokens"], serde_json::json!({ "anthropic": "terok-p-anthropic" }));
        assert_eq!(json["static_markers"], false);
    }

    #[test]
    fn a_forced_placement_is_written_down() {
        assert!(json("web", None, None).get("placement").is_none());
        for word in ["daemon", "unit"] {
            let json = json(&format!("web --placement {word}"), None, None);
            assert_eq!(json["placement"], word);
        }
    }

    #[test]
    fn activation_on_demand_is_asked_for_with_its_patience() {
        let eager = json("web", None, None);
        assert!(eager.get("activation").is_none() && eager.get("leave_after_s").is_none());
        let on_demand = json("web --activation on-demand --leave-after 7", None, None);
        assert_eq!(
            (&on_demand["activation"], &on_demand["leave_after_s"]),
            (&"on-demand".into(), &7.into())
        );
        assert!(plan("web --leave-after 7").is_err());
    }

    #[test]
    fn a_socket_path_that_cannot_be_bound_is_refused_now() {
        let name = "n".repeat(100);
        assert!(matches!(
            text(&plan(&name).unwrap(), &granted(None, None)),
            Err(TextError::Endpoint(EndpointError::SocketPathTooLong { .. }))
        ));
        let tcp = plan(&format!("{name} --mode tcp")).unwrap();
        assert!(text(&tcp, &granted(Some(PORTS), None)).is_ok());
    }
}

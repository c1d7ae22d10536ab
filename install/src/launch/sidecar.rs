//! The sidecar's text: what the hook and the supervisor are told about one container.
//!
//! In: a plan and what was granted to it. Out: JSON that our own reader has accepted, with every
//! member that readers before us expect.

use std::fmt;
use std::time::Duration;

use terok_shared::endpoint::{self, EndpointError};
use terok_shared::placement;
use terok_shared::secret::Secret;
use terok_shared::service::Service;
use terok_shared::sidecar::{self, Gate, Ipc, LEAVE_AFTER, Loopback, Ports, Sidecar, WriteError};
use terok_shared::token::STATIC_MARKERS;

use super::environment::{BRIDGED_BROKER_PORT, BRIDGED_GATE_PORT, Granted};
use super::plan::Plan;
use crate::cli::{Activation, Mode, Placement};

#[derive(Debug)]
pub(super) enum TextError {
    Sidecar(WriteError),
    /// A socket whose path would be too long to bind.
    Endpoint(EndpointError),
}

/// The text for a plan. It may hold the gate's token and phantom tokens.
///
/// # Errors
/// What a supervisor would refuse later, told now.
pub(super) fn text(plan: &Plan, granted: &Granted) -> Result<Secret<Vec<u8>>, TextError> {
    let sidecar = sidecar(plan, granted);
    let json = sidecar.to_json(plan.sidecar.as_path()).map_err(TextError::Sidecar)?;
    for service in Service::ALL {
        if let Some(endpoint) = endpoint::of(&sidecar, service) {
            endpoint.map_err(TextError::Endpoint)?;
        }
    }
    Ok(json)
}

fn sidecar(plan: &Plan, granted: &Granted) -> Sidecar {
    let again = |token: &Secret<String>| Secret::from(token.expose().clone());
    let gate = plan.gate.as_ref().zip(granted.gate.as_ref());
    let ports = granted.ports;
    let marked = |name: &str| STATIC_MARKERS.iter().any(|(_, provider)| *provider == name);
    Sidecar {
        ipc: match plan.mode {
            Mode::Socket => Ipc::Socket,
            Mode::Tcp => Ipc::Tcp(Ports {
                broker: ports.map(|ports| ports.broker),
                signer: ports.map(|ports| ports.signer),
                gate: ports.filter(|_| gate.is_some()).map(|ports| ports.gate),
            }),
        },
        routes_path: plan.routes.clone(),
        use_keyring: plan.use_keyring,
        passphrase_command: plan.passphrase_command.clone().map(Secret::from),
        scope_id: plan.scope.to_string(),
        project_id: plan.project.clone(),
        gate: gate.map(|(gate, token)| Gate {
            base_path: gate.base.clone(),
            token: again(token),
            policy: None,
        }),
        token_subject: Some(plan.name.to_string()),
        required: plan.required,
        activation: match plan.activation {
            Activation::Eager => sidecar::Activation::Eager,
            Activation::OnDemand => sidecar::Activation::OnDemand {
                leave_after: plan.leave_after.map_or(LEAVE_AFTER, Duration::from_secs),
            },
        },
        agent_token: granted.ssh.as_ref().filter(|_| granted.plain_agent).map(again),
        loopback: plan.loopback.then(|| Loopback {
            vault: Some(BRIDGED_BROKER_PORT),
            gate: gate.map(|_| BRIDGED_GATE_PORT),
        }),
        placement: match plan.placement {
            Placement::Auto => None,
            Placement::Daemon => Some(placement::Placement::Daemon),
            Placement::Unit => Some(placement::Placement::Unit),
        },
        // A marker stands for what this container was given, or for nothing.
        static_markers: false,
        marker_tokens: granted
            .providers
            .iter()
            .filter(|provider| marked(provider.name.as_str()))
            .map(|provider| (provider.name.to_string(), again(&provider.token)))
            .collect(),
        ..Sidecar::new(plan.name.clone(), plan.database.clone(), plan.runtime_dir.clone())
    }
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

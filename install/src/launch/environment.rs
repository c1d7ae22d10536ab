//! The container's variables: where its services are, and the tokens that open them.
//!
//! Pure. A token is worthless outside this one container, so its environment is the place for it.

use std::fmt;

use terok_shared::layout::{AGENT_SOCKET, BROKER_SOCKET, GATE_SOCKET, MOUNT_POINT, SIGNER_SOCKET};
use terok_shared::secret::Secret;
use vault_store::credential::Kind;

use super::ports::Ports;
use crate::credential_name::ProviderName;
use crate::egress::Dummy;
use crate::known_provider::{self, Content};

/// Where an image's bridge, or the supervisor itself, serves the broker to programs that only know
/// HTTP URLs.
pub(super) const BRIDGED_BROKER_PORT: u16 = 9419;
/// The same for the gate.
pub(super) const BRIDGED_GATE_PORT: u16 = 9418;
/// Where an image's bridge serves an agent that needs no handshake.
const BRIDGED_AGENT: &str = "/tmp/ssh-agent.sock";
/// podman's name for the host.
pub(super) const HOST: &str = "host.containers.internal";

/// What a container was given.
pub(super) struct Granted {
    /// `None` in socket mode.
    pub(super) ports: Option<Ports>,
    pub(super) providers: Vec<GrantedProvider>,
    pub(super) ssh: Option<Secret<String>>,
    /// Whether the supervisor serves an agent socket that needs no handshake, and so no bridge.
    pub(super) plain_agent: bool,
    pub(super) gate: Option<Secret<String>>,
}

pub(super) struct GrantedProvider {
    pub(super) name: ProviderName,
    pub(super) kind: Kind,
    pub(super) token: Secret<String>,
    /// The file its client reads instead of a variable.
    pub(super) file: Option<Dummy>,
}

pub(super) type Variables = Vec<(String, Secret<String>)>;

/// Two things would have the same variable.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Clash {
    variable: String,
}

/// All variables, in the order of what they serve.
///
/// # Errors
/// Providers whose names make the same variable, such as `a-b` and `a.b`.
pub(super) fn variables(granted: &Granted) -> Result<Variables, Clash> {
    let mut set = Set(Vec::new());
    let inside = |socket: &str| format!("{MOUNT_POINT}/{socket}");
    let base = match granted.ports {
        None => {
            set.add("TEROK_VAULT_SOCKET", inside(BROKER_SOCKET))?;
            set.add("TEROK_VAULT_LOOPBACK_PORT", BRIDGED_BROKER_PORT.to_string())?;
            format!("http://localhost:{BRIDGED_BROKER_PORT}")
        }
        Some(ports) => {
            set.add("TEROK_TOKEN_BROKER_PORT", ports.broker.to_string())?;
            format!("http://{HOST}:{}", ports.broker)
        }
    };
    if let Some(token) = &granted.ssh {
        match granted.ports {
            None => set.add("TEROK_SSH_SIGNER_SOCKET", inside(SIGNER_SOCKET))?,
            Some(ports) => set.add("TEROK_SSH_SIGNER_PORT", ports.signer.to_string())?,
        }
        set.add("TEROK_SSH_SIGNER_TOKEN", token.expose().clone())?;
        let agent =
            if granted.plain_agent { inside(AGENT_SOCKET) } else { BRIDGED_AGENT.to_owned() };
        set.add("SSH_AUTH_SOCK", agent)?;
    }
    if let Some(token) = &granted.gate {
        match granted.ports {
            None => set.add("TEROK_GATE_SOCKET", inside(GATE_SOCKET))?,
            Some(ports) => set.add("TEROK_GATE_PORT", ports.gate.to_string())?,
        }
        set.add("TEROK_GATE_TOKEN", token.expose().clone())?;
    }
    for provider in &granted.providers {
        set.add_provider(provider, &base)?;
    }
    Ok(set.0)
}

/// Variables so far. A second one of the same name is refused, not dropped: nobody could tell which
/// of two tokens a container gets.
struct Set(Variables);

impl Set {
    fn add(&mut self, name: &str, value: String) -> Result<(), Clash> {
        if self.0.iter().any(|(taken, _)| taken == name) {
            return Err(Clash { variable: name.to_owned() });
        }
        self.0.push((name.to_owned(), value.into()));
        Ok(())
    }

    fn add_provider(&mut self, provider: &GrantedProvider, base: &str) -> Result<(), Clash> {
        let prefix = format!("TEROK_{}", provider.name.in_variables());
        let token = || provider.token.expose().clone();
        self.add(&format!("{prefix}_TOKEN"), token())?;
        self.add(&format!("{prefix}_BASE_URL"), base.to_owned())?;
        for (name, content) in known_provider::variables(provider.name.as_str(), provider.kind) {
            match content {
                // A client that finds both complains, or takes the variable for a key.
                Content::Token if provider.file.is_some() => {}
                Content::Token => self.add(name, token())?,
                Content::BaseUrl(path) => self.add(name, format!("{base}{path}"))?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "set variable {}: two things would have it\n\
             hint: give one of the providers another name",
            self.variable
        )
    }
}

impl std::error::Error for Clash {}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(ports: Option<Ports>, providers: &[(&str, Kind)]) -> Granted {
        let secret = |text: &str| Some(Secret::from(text.to_owned()));
        let provider = |(name, kind): &(&str, Kind)| GrantedProvider {
            name: ProviderName::parse(name).unwrap(),
            kind: *kind,
            token: format!("terok-p-{name}").into(),
            file: None,
        };
        Granted {
            ports,
            providers: providers.iter().map(provider).collect(),
            ssh: secret("terok-p-ssh"),
            plain_agent: false,
            gate: secret("terok-g-1"),
        }
    }

    fn text(variables: &Variables) -> Vec<String> {
        variables.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect()
    }

    #[test]
    fn socket_mode_says_what_the_contract_says() {
        let all = text(&variables(&granted(None, &[("mine", Kind::Key)])).unwrap());
        assert_eq!(
            all,
            [
                "TEROK_VAULT_SOCKET=/run/terok/vault/vault.sock",
                "TEROK_VAULT_LOOPBACK_PORT=9419",
                "TEROK_SSH_SIGNER_SOCKET=/run/terok/signer/ssh-agent.sock",
                "TEROK_SSH_SIGNER_TOKEN=terok-p-ssh",
                "SSH_AUTH_SOCK=/tmp/ssh-agent.sock",
                "TEROK_GATE_SOCKET=/run/terok/gate/gate-server.sock",
                "TEROK_GATE_TOKEN=terok-g-1",
                "TEROK_MINE_TOKEN=terok-p-mine",
                "TEROK_MINE_BASE_URL=http://localhost:9419",
            ]
        );
    }

    #[test]
    fn tcp_mode_says_ports_and_the_hosts_name() {
        let ports = Ports { broker: 4001, signer: 4002, gate: 4003 };
        let all = text(&variables(&granted(Some(ports), &[("openai", Kind::Key)])).unwrap());
        for line in [
            "TEROK_TOKEN_BROKER_PORT=4001",
            "TEROK_SSH_SIGNER_PORT=4002",
            "TEROK_GATE_PORT=4003",
            "OPENAI_API_KEY=terok-p-openai",
            "OPENAI_BASE_URL=http://host.containers.internal:4001/v1",
        ] {
            assert!(all.iter().any(|found| found == line), "{line} not in {all:?}");
        }
        assert!(!all.iter().any(|line| line.contains("_SOCKET")));
    }

    #[test]
    fn a_login_and_a_key_have_their_own_variables() {
        let names = |kind| {
            let granted = granted(None, &[("anthropic", kind)]);
            let names = variables(&granted).unwrap().into_iter().map(|(name, _)| name);
            names.filter(|name| name.starts_with("ANTHROPIC")).collect::<Vec<_>>()
        };
        assert_eq!(names(Kind::Key), ["ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"]);
        assert_eq!(names(Kind::OAuth), ["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"]);
    }

    #[test]
    fn an_agent_that_needs_no_bridge_is_named_where_it_is() {
        let granted = Granted { plain_agent: true, ..granted(None, &[]) };
        let all = text(&variables(&granted).unwrap());
        assert!(all.contains(&"SSH_AUTH_SOCK=/run/terok/signer/agent.sock".to_owned()), "{all:?}");
    }

    #[test]
    fn a_client_with_a_file_gets_no_token_in_its_own_variable() {
        let mut granted = granted(None, &[("openai", Kind::OAuth)]);
        let login = vault_store::credential::Credential::oauth(&"t".to_owned().into(), None, None);
        granted.providers[0].file = Dummy::of("openai", &login);
        let all = text(&variables(&granted).unwrap());
        assert!(!all.iter().any(|line| line.starts_with("OPENAI_API_KEY=")), "{all:?}");
        let base = "OPENAI_BASE_URL=http://localhost:9419/backend-api/codex".to_owned();
        assert!(all.contains(&base), "{all:?}");
        assert!(all.contains(&"TEROK_OPENAI_TOKEN=terok-p-openai".to_owned()), "{all:?}");
    }

    #[test]
    fn providers_that_would_share_a_variable_are_refused() {
        for names in [["a-b", "a.b"], ["gate", "x"], ["ssh-signer", "x"]] {
            let both = names.map(|name| (name, Kind::Key));
            assert!(variables(&granted(None, &both)).is_err(), "{names:?}");
        }
    }
}

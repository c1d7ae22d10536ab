//! What the Python package terok-sandbox wrote works unchanged: its sidecars, its vault, its
//! variables in the container, started with plain podman.

use std::fs::{self, DirBuilder, Permissions};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::Value;
use terok_shared::annotation;
use terok_shared::layout::StateRoot;
use terok_tests::fixtures::{REAL_SECRETS, SCOPE};
use terok_tests::mirror::git_ok;

use crate::container::{Container, IMAGE};
use crate::mode::{Mode, in_both_modes};
use crate::operator::Operator;
use crate::{exposure, uses};

const SOCKET_SIDECAR: &str = include_str!("../fixtures/sidecar/socket.json");
const TCP_SIDECAR: &str = include_str!("../fixtures/sidecar/tcp.json");
const VAULT: &[u8] = include_bytes!("../fixtures/vault/v4.db");
const PASSPHRASE: &str = include_str!("../fixtures/vault/v4.passphrase");
const TOKENS: &str = include_str!("../fixtures/vault/v4.tokens.json");
const PUBLIC_KEYS: &str = include_str!("../fixtures/vault/v4.ssh-public-keys");

in_both_modes! {
    fn an_existing_sidecar_vault_and_environment_work_unchanged(operator, mode) {
        let installation = Installation::new(operator, mode);
        let sidecar = installation.write_sidecar();
        let container = installation.start(&sidecar);
        container.bridge();
        let keys: Vec<String> = PUBLIC_KEYS.lines().map(str::to_owned).collect();
        uses::everything(&container, &keys);

        // The other one of the vault is too short to be told from accident.
        let secrets = [("credential", REAL_SECRETS[0]), ("passphrase", PASSPHRASE.trim())];
        let secrets = secrets.into_iter().map(|(name, secret)| (name, secret.as_bytes()));
        assert_eq!(exposure::find(&container, secrets), [""; 0]);

        container.stop();
        container.start();
        container.bridge();
        uses::everything(&container, &keys);
    }
}

/// Another installation of the operator's, in directories of its own.
struct Installation<'o> {
    operator: &'o Operator,
    mode: Mode,
    root: PathBuf,
    members: Value,
}

impl<'o> Installation<'o> {
    fn new(operator: &'o Operator, mode: Mode) -> Self {
        let root = operator.home().join(format!("existing-{mode}"));
        for part in ["sandbox/sidecar", "sandbox/gate", "vault", "secrets"] {
            private_directory(&root.join(part));
        }
        write_private(&root.join("vault/credentials.db"), VAULT);
        write_private(&root.join("secrets/vault-pass"), PASSPHRASE.as_bytes());
        let routes = operator.upstream().routes().to_string();
        write_private(&root.join("vault/routes.json"), routes.as_bytes());
        let mirror = root.join(format!("sandbox/gate/{SCOPE}.git"));
        git_ok(&root, &["init", "-q", "--bare", "-b", "main", mirror.to_str().unwrap()]);
        let members = members(operator, mode, &root);
        Self { operator, mode, root, members }
    }

    fn text(&self, key: &str) -> &str {
        self.members[key].as_str().expect("a string of the fixture")
    }

    fn write_sidecar(&self) -> PathBuf {
        let path = self.root.join(format!("sandbox/sidecar/{}.json", self.text("container_name")));
        write_private(&path, self.members.to_string().as_bytes());
        path
    }

    /// Starts a container as that package's callers do.
    fn start(&self, sidecar: &Path) -> Container<'o> {
        let name = self.text("container_name");
        let annotation = format!("{}={}", annotation::KEY, sidecar.display());
        let options = ["run", "--detach", "--init", "--pull=never", "--name", name];
        let mut words: Vec<String> = options.map(str::to_owned).into();
        words.extend(["--annotation".to_owned(), annotation]);
        for (variable, value) in self.environment() {
            words.extend(["--env".to_owned(), format!("{variable}={value}")]);
        }
        words.extend(self.reach());
        words.extend([IMAGE, "sleep", "900"].map(str::to_owned));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let id = self.operator.podman_ok(&words);
        let state_root = StateRoot::new(self.root.join("sandbox"));
        let mut container = Container::found_in(
            self.operator,
            name,
            &id,
            state_root,
            Path::new(self.text("runtime_dir")),
        );
        container.token_variable = "FAKE_API_KEY".to_owned();
        container.credential = REAL_SECRETS[0].to_owned();
        container.project = SCOPE.to_owned();
        container
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        let tokens: Value = serde_json::from_str(TOKENS).unwrap();
        let token = |name: &str| tokens[name].as_str().expect("a token of the fixture").to_owned();
        let mut variables = vec![
            ("FAKE_API_KEY", token("fake")),
            ("TEROK_SSH_SIGNER_TOKEN", token("ssh")),
            ("TEROK_GATE_TOKEN", self.text("gate_token").to_owned()),
        ];
        match self.mode {
            Mode::Socket => variables.extend([
                ("TEROK_VAULT_SOCKET", "/run/terok/vault/vault.sock".to_owned()),
                ("TEROK_VAULT_LOOPBACK_PORT", "9419".to_owned()),
                ("TEROK_SSH_SIGNER_SOCKET", "/run/terok/signer/ssh-agent.sock".to_owned()),
                ("TEROK_GATE_SOCKET", "/run/terok/gate/gate-server.sock".to_owned()),
            ]),
            Mode::Tcp => variables.extend([
                ("TEROK_TOKEN_BROKER_PORT", self.members["tcp_port"].to_string()),
                ("TEROK_SSH_SIGNER_PORT", self.members["ssh_signer_port"].to_string()),
                ("TEROK_GATE_PORT", self.members["gate_port"].to_string()),
            ]),
        }
        variables
    }

    /// The mount, or the network, by which the container reaches its services.
    fn reach(&self) -> Vec<String> {
        let name = self.text("container_name");
        match self.mode {
            Mode::Socket => {
                let directory = Path::new(self.text("runtime_dir")).join("run").join(name);
                private_directory(&directory);
                let mount = format!("{}:/run/terok:ro", directory.display());
                vec!["--network=none".to_owned(), "--volume".to_owned(), mount]
            }
            Mode::Tcp => {
                let network = "--network=slirp4netns:allow_host_loopback=true";
                let host = "--add-host=host.containers.internal:10.0.2.2";
                vec![network.to_owned(), host.to_owned()]
            }
        }
    }
}

impl Drop for Installation<'_> {
    fn drop(&mut self) {
        // The directory of the last container's sockets is the launcher's to remove.
        let sockets =
            Path::new(self.text("runtime_dir")).join("run").join(self.text("container_name"));
        let _ = fs::remove_dir_all(sockets);
    }
}

/// The fixture with this machine's directories and free ports in the place of its own.
fn members(operator: &Operator, mode: Mode, root: &Path) -> Value {
    let fixture = match mode {
        Mode::Socket => SOCKET_SIDECAR,
        Mode::Tcp => TCP_SIDECAR,
    };
    let runtime_dir = operator.runtime_dir();
    let text = [
        ("/home/operator/.local/share/terok", root.to_str().unwrap()),
        ("/home/operator/.secrets", root.join("secrets").to_str().unwrap()),
        ("/run/user/1002/terok/sandbox", runtime_dir.to_str().unwrap()),
    ]
    .into_iter()
    .fold(fixture.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours));
    let mut members: Value = serde_json::from_str(&text).unwrap();
    let keys = ["tcp_port", "ssh_signer_port", "gate_port"];
    // All bound at once, so that no port is taken twice.
    let held = keys.map(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
    for (key, listener) in keys.iter().zip(&held) {
        if let Some(port) = members.get_mut(*key) {
            *port = listener.local_addr().unwrap().port().into();
        }
    }
    members
}

fn private_directory(path: &Path) {
    DirBuilder::new().recursive(true).mode(0o700).create(path).unwrap();
}

fn write_private(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

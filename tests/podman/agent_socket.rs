//! The agent socket without a handshake in a real container: stock OpenSSH needs no bridge there,
//! and from outside the same socket is closed.

use std::fs;
use std::process::Command;

use serde_json::Value;
use terok_shared::container::ContainerName;
use terok_tests::openssh;

use crate::container::IMAGE;
use crate::operator::{AtWork, SCOPE, at_work};

const NAME: &str = "plain-agent";

/// A container whose sidecar wants the socket, with nothing in its environment but its path.
struct Container<'o> {
    operator: &'o AtWork,
    name: String,
}

impl<'o> Container<'o> {
    fn start(operator: &'o AtWork, name: &str) -> Self {
        let flags = operator.terokctl_ok(&["prepare", "--scope", SCOPE, "--ssh", name]);
        let parsed = ContainerName::parse(name).unwrap();
        let sidecar = operator.state_root().sidecar(&parsed);
        let variables = fs::read_to_string(sidecar.with_extension("env")).unwrap();
        let token = variables
            .lines()
            .find_map(|line| line.strip_prefix("TEROK_SSH_SIGNER_TOKEN="))
            .expect("a token for the signer");
        let mut members: Value = serde_json::from_slice(&fs::read(&sidecar).unwrap()).unwrap();
        members["agent_socket"] = true.into();
        members["ssh_token"] = token.into();
        terok_tests::sidecar::write(&sidecar, members.to_string());
        let wiring = flags.lines().filter(|flag| !flag.starts_with("--env-file"));
        let words: Vec<&str> = ["run", "-d", "--pull=never", "--init"]
            .into_iter()
            .chain(wiring)
            .chain(["--env", "SSH_AUTH_SOCK=/run/terok/signer/agent.sock"])
            .chain([IMAGE, "sleep", "120"])
            .collect();
        operator.podman_ok(&words);
        Self { operator, name: name.to_owned() }
    }

    fn exec(&self, words: &[&str]) -> String {
        self.operator.podman_ok(&[&["exec", self.name.as_str()], words].concat())
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.operator.podman(&["rm", "--force", "--time", "1", &self.name]);
        self.operator.terokctl(&["cleanup", &self.name]);
    }
}

#[test]
fn stock_openssh_needs_nothing_inside_and_gets_nothing_outside() {
    let Some(operator) = at_work() else { return };
    let container = Container::start(&operator, NAME);
    let listed = container.exec(&["ssh-add", "-L"]);
    assert_eq!(listed.lines().collect::<Vec<_>>(), operator.public_keys());
    let sign = "ssh-add -L | head -n 1 > /tmp/key.pub; printf 'a message' > /tmp/message; \
                ssh-keygen -q -Y sign -n file -f /tmp/key.pub /tmp/message; cat /tmp/message.sig";
    let signature = container.exec(&["sh", "-c", sign]);
    let judge = tempfile::tempdir().unwrap();
    fs::write(judge.path().join("message.sig"), format!("{signature}\n")).unwrap();
    assert!(openssh::verify(judge.path(), &operator.public_keys()[0], "a message"));

    // The operator's own processes, in podman's user namespace and out of it.
    let name = ContainerName::parse(NAME).unwrap();
    let directory = terok_shared::layout::socket_directory(&operator.runtime_dir(), &name);
    let socket = directory.join("signer/agent.sock");
    assert!(!openssh::list_keys(&socket).status.success());
    let mut unshare = Command::new("podman");
    unshare.args(["unshare", "ssh-add", "-L"]).env("SSH_AUTH_SOCK", &socket);
    assert!(!unshare.output().unwrap().status.success());
}

#[test]
fn a_process_of_another_container_is_closed() {
    let Some(operator) = at_work() else { return };
    let own = Container::start(&operator, "plain-agent-own");
    let name = ContainerName::parse("plain-agent-own").unwrap();
    let directory = terok_shared::layout::socket_directory(&operator.runtime_dir(), &name);
    let mount = format!("--volume={}:/stolen:ro", directory.display());
    let thief = [
        "run",
        "--rm",
        "--pull=never",
        &mount,
        "--env",
        "SSH_AUTH_SOCK=/stolen/signer/agent.sock",
        IMAGE,
        "ssh-add",
        "-L",
    ];
    assert!(!operator.podman(&thief).status.success());
    assert_eq!(own.exec(&["ssh-add", "-L"]).lines().count(), operator.public_keys().len());
}

//! `terokctl run --loopback` with an image that has curl, git and ssh and nothing else: no shell, no
//! socat, no script. Stock programs find their services where everybody looks for them.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use terok_tests::mirror::{git, git_ok};
use terok_tests::openssh;
use terok_tests::sshd;
use terok_tests::upstream::ANSWER;

use crate::operator::{self, Operator, PROVIDER, SCOPE, succeeded};

const IMAGE: &str = "localhost/terok-test:bare";
const HEALTHY: &str = r#"{"status":"ok"}"#;
/// The operator's host in a container of slirp4netns.
const HOST: &str = "10.0.2.2";

/// A launch whose container asks nothing in vain for a quarter of an hour: the image has no program
/// that just waits.
struct Bare<'o> {
    operator: &'o Operator,
    name: &'static str,
    /// Seen as /exchange inside.
    exchange: PathBuf,
    variables: Vec<String>,
}

impl<'o> Bare<'o> {
    #[track_caller]
    fn launch(operator: &'o Operator, name: &'static str, network: &str) -> Self {
        let exchange = operator.home().join(name);
        fs::create_dir(&exchange).unwrap();
        let mount = format!("--volume={}:/exchange", exchange.display());
        let launch = ["run", name, "--loopback", "--scope", SCOPE, "--provider", PROVIDER, "--ssh"];
        let gate = ["--project", name, "--gate", "--init-mirror", "--"];
        let podman = ["--detach", "--pull=never", network, &mount, IMAGE];
        let wait = ["curl", "-s", "--retry", "900", "--retry-delay", "1", "--retry-connrefused"];
        let nobody = ["http://127.0.0.1:9"];
        operator.terokctl_ok(&[&launch[..], &gate, &podman, &wait, &nobody].concat());
        let variables = operator.podman_ok(&[
            "inspect",
            "--format",
            "{{range .Config.Env}}{{println .}}{{end}}",
            name,
        ]);
        let variables = variables.lines().map(str::to_owned).collect();
        Self { operator, name, exchange, variables }
    }

    fn variable(&self, name: &str) -> &str {
        let value = |line: &'_ String| line.strip_prefix(name)?.strip_prefix('=').map(str::len);
        let line = self.variables.iter().find(|line| value(line).is_some());
        let line = line.unwrap_or_else(|| panic!("no {name}"));
        &line[name.len() + 1..]
    }

    fn exec(&self, words: &[&str]) -> Output {
        let options =
            ["exec", "--workdir=/exchange", "--env=HOME=/tmp", "--env=GIT_TERMINAL_PROMPT=0"];
        self.operator.podman(&[&options[..], &[self.name], words].concat())
    }

    #[track_caller]
    fn exec_ok(&self, words: &[&str]) -> String {
        succeeded(&format!("{words:?} inside"), self.exec(words))
    }

    fn mirror(&self) -> PathBuf {
        self.operator.state_root().mirrors().join(format!("{}.git", self.name))
    }
}

impl Drop for Bare<'_> {
    fn drop(&mut self) {
        self.operator.podman(&["rm", "--force", "--time", "0", self.name]);
        self.operator.terokctl(&["cleanup", "--force", self.name]);
    }
}

#[test]
fn curl_git_and_ssh_need_nothing_else_in_their_image() {
    let Some(operator) = operator::at_work() else { return };
    let bare = Bare::launch(&operator, "bare", "--network=none");
    for missing in ["sh", "socat", "busybox", "terok-bridge"] {
        assert!(!bare.exec(&[missing, "--help"]).status.success(), "{missing} is there");
    }

    let token = format!("Authorization: Bearer {}", bare.variable("TEROK_FAKE_TOKEN"));
    let url = "http://localhost:9419/v1/distroless";
    assert_eq!(bare.exec_ok(&["curl", "-sS", "--fail", "-H", &token, url]), ANSWER);
    let seen = operator.upstream().seen();
    let request = seen.iter().find(|request| request.contains("/v1/distroless")).unwrap();
    assert!(request.contains(operator.credential()), "upstream saw another credential");

    clones_and_pushes(&bare);
    lists_keys_and_signs(&bare);
}

#[track_caller]
fn clones_and_pushes(bare: &Bare<'_>) {
    let seed = bare.operator.home().join("seed");
    git_ok(bare.operator.home(), &["init", "-q", "-b", "main", "seed"]);
    git_ok(&seed, &["commit", "-q", "--allow-empty", "-m", "first"]);
    git_ok(&seed, &["push", "-q", bare.mirror().to_str().unwrap(), "main"]);
    fs::remove_dir_all(&seed).unwrap();

    let token = bare.variable("TEROK_GATE_TOKEN");
    let url = format!("http://{token}:x@localhost:9418/{}.git", bare.name);
    bare.exec_ok(&["git", "clone", "-q", "-b", "main", &url, "/tmp/work"]);
    let agent = ["git", "-C", "/tmp/work", "-c", "user.name=Agent", "-c", "user.email=a@localhost"];
    bare.exec_ok(&[&agent[..], &["commit", "-q", "--allow-empty", "-m", "second"]].concat());
    bare.exec_ok(&["git", "-C", "/tmp/work", "push", "-q", "origin", "main"]);
    let tip = bare.exec_ok(&["git", "-C", "/tmp/work", "rev-parse", "HEAD"]);
    assert_eq!(git_ok(&bare.mirror(), &["rev-parse", "main"]), tip);
    assert!(git(&bare.mirror(), &["rev-parse", "main~1"]).status.success(), "on top of the first");
}

#[track_caller]
fn lists_keys_and_signs(bare: &Bare<'_>) {
    let keys = bare.operator.public_keys();
    assert_eq!(bare.exec_ok(&["ssh-add", "-L"]).lines().collect::<Vec<_>>(), keys);
    fs::write(bare.exchange.join("key.pub"), &keys[0]).unwrap();
    fs::write(bare.exchange.join("message"), "a message").unwrap();
    bare.exec_ok(&["ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", "key.pub", "message"]);
    assert!(openssh::verify(&bare.exchange, &keys[0], "a message"));
}

/// The network is slirp4netns, for the way to a host; the keys stay where they are.
#[test]
fn ssh_logs_in_to_a_real_host_with_a_key_of_the_vault() {
    let Some(operator) = operator::at_work() else { return };
    let Some(host) = sshd::start("ed25519", &operator.public_keys()) else { return };
    let bare =
        Bare::launch(&operator, "bare-login", "--network=slirp4netns:allow_host_loopback=true");
    let known = host.known_host().replace("127.0.0.1", HOST);
    fs::write(bare.exchange.join("known_hosts"), known + "\n").unwrap();
    let user = std::env::var("USER").unwrap();
    let (port, to) = (host.port().to_string(), format!("{user}@{HOST}"));
    let trust = ["-o", "BatchMode=yes", "-o", "UserKnownHostsFile=/exchange/known_hosts"];
    let words = ["-p", &port, &to, "echo", "reached"];
    let said = bare.exec_ok(&[&["ssh", "-T"], &trust[..], &words].concat());
    assert_eq!(said, "reached", "{}", host.log());
}

/// No time passes between the start and a listener: the container's only process is the client.
#[test]
fn the_first_instruction_of_a_container_finds_its_services() {
    let Some(operator) = operator::at_work() else { return };
    let launch = ["run", "bare-first", "--loopback", "--provider", PROVIDER, "--scope", SCOPE];
    let podman = ["--", "--rm", "--pull=never", "--network=none", IMAGE];
    let curl = ["curl", "-sS", "--fail", "http://localhost:9419/-/health"];
    let output = operator.terokctl(&[&launch[..], &podman, &curl].concat());
    operator.terokctl_ok(&["cleanup", "bare-first"]);
    assert_eq!(succeeded("curl as the container's command", output), HEALTHY);
}

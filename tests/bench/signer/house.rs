//! Two keys, in a vault and in an ssh-agent.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rustix::process::Signal;
use tempfile::TempDir;
use terok_shared::process::Process;
use terok_tests::agent::handshake;
use terok_tests::programs::{Programs, SUPERVISOR};
use terok_tests::tree;

use crate::contender::Contender;

pub(crate) const PASSPHRASE: &str = "a passphrase of this benchmark";
const NAME: &str = "bench";

pub(crate) struct House {
    directory: TempDir,
    programs: Programs,
    token: String,
}

pub(crate) struct Running {
    process: Child,
    contender: Contender,
}

impl House {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("tk").tempdir().unwrap();
        let programs = Programs::built();
        let mut house = Self { directory, programs, token: String::new() };
        fs::write(house.path("passphrase"), PASSPHRASE).unwrap();
        let passphrase = house.path("passphrase");
        let passphrase = ["--passphrase-file", passphrase.to_str().unwrap()];
        house.terokctl(&["vault", "init", "--no-remember", passphrase[0], passphrase[1]]);
        for (kind, options) in [("ed25519", &[][..]), ("rsa", &["-b", "3072"])] {
            let file = house.path(kind);
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-N", "", "-C", "bench", "-t", kind]).args(options);
            assert!(keygen.arg("-f").arg(&file).status().unwrap().success());
            let file = file.to_str().unwrap();
            let words = ["ssh", "import", "--scope", NAME, passphrase[0], passphrase[1], file];
            house.terokctl(&words);
        }
        house.remember(PASSPHRASE);
        house.terokctl(&["prepare", "--scope", NAME, "--ssh", NAME]);
        let variables = fs::read_to_string(house.path("state/sidecar/bench.env")).unwrap();
        let name = "TEROK_SSH_SIGNER_TOKEN=";
        house.token =
            variables.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned();
        house
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.path("vault/credentials.db")
    }

    /// Kinds and public blobs.
    pub(crate) fn keys(&self) -> [(&'static str, Vec<u8>); 2] {
        ["ed25519", "rsa"].map(|kind| {
            let line = fs::read_to_string(self.path(kind).with_extension("pub")).unwrap();
            (kind, BASE64_STANDARD.decode(line.split(' ').nth(1).unwrap()).unwrap())
        })
    }

    /// Leaves in the session file what the next keeper takes for the passphrase.
    pub(crate) fn remember(&self, passphrase: &str) {
        let directory = self.path("run/terok/vault-session");
        fs::create_dir_all(&directory).unwrap();
        let name = terok_tests::house::session_file_name(&self.database());
        terok_tests::sidecar::write(&directory.join(name), passphrase);
    }

    pub(crate) fn ssh_agent(&self) -> Running {
        let socket = self.path("ssh-agent.sock");
        let mut agent = Command::new("ssh-agent");
        agent.args(["-D", "-a"]).arg(&socket).stdout(Stdio::null());
        let process = agent.spawn().unwrap();
        wait_for(&socket);
        for kind in ["ed25519", "rsa"] {
            let mut add = Command::new("ssh-add");
            add.arg("-q").arg(self.path(kind)).env("SSH_AUTH_SOCK", &socket);
            assert!(add.status().unwrap().success());
        }
        let processes = vec![Process::of(process.id().try_into().unwrap()).unwrap()];
        Running { process, contender: Contender { socket, first: vec![], processes } }
    }

    /// Our services as the parent starts them, with nothing asked yet.
    pub(crate) fn supervisor(&self) -> Running {
        let socket = self.path("run/terok/sandbox/run/bench/signer/ssh-agent.sock");
        let mut supervisor = Command::new(self.programs.path(SUPERVISOR));
        supervisor.arg("--sidecar").arg(self.path("state/sidecar/bench.json"));
        supervisor.env_clear().env("XDG_RUNTIME_DIR", self.path("run"));
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let process = supervisor.stderr(log).spawn().unwrap();
        wait_for(&socket);
        let contender = Contender { socket, first: handshake(&self.token), processes: vec![] };
        Running { process, contender }
    }

    fn terokctl(&self, words: &[&str]) {
        let mut terokctl = Command::new(self.programs.path("terokctl"));
        terokctl
            .args(words)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.directory.path())
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("TEROK_SANDBOX_STATE_DIR", self.path("state"))
            .env("TEROK_SANDBOX_RUNTIME_DIR", self.path("run/terok/sandbox"))
            .env("TEROK_VAULT_DIR", self.path("vault"))
            .stdin(Stdio::null());
        let output = terokctl.output().unwrap();
        if !output.status.success() {
            std::io::stderr().write_all(&output.stderr).unwrap();
            panic!("terokctl {words:?} failed");
        }
    }
}

impl Running {
    pub(crate) fn contender(&self) -> Contender {
        let mut processes = self.contender.processes.clone();
        if processes.is_empty() {
            let parent = Process::of(self.process.id().try_into().unwrap()).unwrap();
            processes = tree::children(parent);
        }
        let (socket, first) = (self.contender.socket.clone(), self.contender.first.clone());
        Contender { socket, first, processes }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let process = Process::of(self.process.id().try_into().unwrap()).unwrap();
        tree::signal(process, Signal::TERM);
        self.process.wait().unwrap();
    }
}

fn wait_for(socket: &Path) {
    let began = Instant::now();
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        assert!(began.elapsed() < Duration::from_secs(10), "{}", socket.display());
        std::thread::sleep(Duration::from_micros(200));
    }
}

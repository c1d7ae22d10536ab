//! An operator's whole installation in a temporary directory, made with the commands an operator
//! types, and one container's launch in it: vault, sidecar, sockets, token, upstream, root
//! directory.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use terok_shared::layout::StateRoot;
use terok_shared::process::Process;
use terok_tests::eventually::eventually;
use terok_tests::programs::{Programs, WRAPPER};
use terok_tests::upstream::{ANSWER, Upstream};

/// What the upstream must see and no container has.
const CREDENTIAL: &str = "the-real-credential-of-this-test";

pub(crate) struct Place {
    directory: TempDir,
    terokctl: PathBuf,
    upstream: Upstream,
    launch: Value,
}

impl Place {
    /// Everything but a container.
    pub(crate) fn new() -> Self {
        let terokctl = Programs::built().path("terokctl");
        let directory = tempfile::Builder::new().prefix("tk").tempdir().unwrap();
        let mut place =
            Self { directory, terokctl, upstream: Upstream::start(), launch: Value::Null };
        place.fill_vault();
        place.configure_podman();
        // Installs the programs too; podman is told in a file of its own.
        place.terokctl(&["setup"]);
        let launch = place.terokctl(&["prepare", "web", "--provider", "fake", "--json"]);
        place.launch = serde_json::from_str(&launch).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("runtimes/rootfs.sh");
        let script = std::env::var_os("TEROK_TEST_ROOTFS").map_or(script, PathBuf::from);
        ok(Command::new(script).arg(place.rootfs()));
        place
    }

    /// The container `web` as the documents have it: with the use of a credential for `github`.
    pub(crate) fn prepare_as_documented(&mut self) {
        self.add_credential("github");
        self.terokctl(&["cleanup", "web"]);
        let launch = self.terokctl(&["prepare", "web", "--provider", "github", "--json"]);
        self.launch = serde_json::from_str(&launch).unwrap();
    }

    /// Before `setup`, which adds its hooks directory to one of the two.
    fn configure_podman(&self) {
        let runtime = std::env::var("TEROK_TEST_RUNTIME").unwrap_or_else(|_| "runc".to_owned());
        // podman knows a runtime by the last part of its path.
        let text = format!(
            "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n\
             runtime = \"{runtime}\"\n\
             runtime_supports_nocgroup = [\"crun\", \"terok-runtime\"]\n\
             [containers]\nlog_driver = \"k8s-file\"\n"
        );
        for file in [self.containers_conf(), self.containers_conf_without_hooks()] {
            fs::write(file, &text).unwrap();
        }
    }

    fn fill_vault(&self) {
        let file = |name: &str, text: &str| {
            let path = self.path(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let passphrase = file("passphrase", "for this test alone\n");
        self.terokctl(&["vault", "init", "--passphrase-file", &passphrase]);
        file("credential", CREDENTIAL);
        self.add_credential("fake");
    }

    /// One that upstream is to see.
    pub(crate) fn add_credential(&self, provider: &str) {
        let (secret, url) = (self.path("credential"), self.upstream.url());
        let secret = secret.to_str().unwrap();
        self.terokctl(&["vault", "add", provider, "--from-file", secret, "--upstream", &url]);
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// A container id that no other test has: runtimes name cgroups after it.
    pub(crate) fn id(&self) -> &str {
        let name = self.directory.path().file_name().and_then(OsStr::to_str);
        name.expect("a temporary directory has a name of letters and digits")
    }

    /// The directory that every container here has as its root.
    pub(crate) fn rootfs(&self) -> PathBuf {
        self.path("rootfs")
    }

    pub(crate) fn state_root(&self) -> StateRoot {
        StateRoot::new(self.path("state"))
    }

    /// An installed program of ours.
    pub(crate) fn installed(&self, name: &str) -> PathBuf {
        self.state_root().programs().join(name)
    }

    /// Where this place's podman reads what it shall do.
    pub(crate) fn containers_conf(&self) -> PathBuf {
        self.path("containers.conf")
    }

    pub(crate) fn sidecar(&self) -> &str {
        self.launch["sidecar"].as_str().expect("a path")
    }

    /// The same without our hooks directory.
    pub(crate) fn containers_conf_without_hooks(&self) -> PathBuf {
        self.path("without-hooks.conf")
    }

    /// The annotation, as `KEY=VALUE`.
    pub(crate) fn annotation(&self) -> String {
        format!("{}={}", terok_shared::annotation::KEY, self.sidecar())
    }

    /// The directory that a container sees as /run/terok.
    pub(crate) fn sockets(&self) -> &str {
        self.launch["runtime_dir"].as_str().expect("a path")
    }

    /// Adds a member to the sidecar.
    pub(crate) fn amend(&self, key: &str, value: Value) {
        let mut sidecar: Value =
            serde_json::from_slice(&fs::read(self.sidecar()).unwrap()).unwrap();
        sidecar[key] = value;
        fs::write(self.sidecar(), sidecar.to_string()).unwrap();
    }

    /// What the container runs: one request with its phantom token.
    pub(crate) fn request(&self) -> String {
        self.request_to("--unix-socket /run/terok/vault/vault.sock http://localhost")
    }

    /// The same, on the loopback of a container that has no mount of ours.
    pub(crate) fn request_on_loopback(&self) -> String {
        self.request_to("http://localhost:9419")
    }

    fn request_to(&self, base: &str) -> String {
        let token = self.launch["env"]["TEROK_FAKE_TOKEN"].as_str().expect("a token");
        format!("/bin/curl -sS -H 'Authorization: Bearer {token}' {base}/v1/models")
    }

    pub(crate) fn terokctl_program(&self) -> &Path {
        &self.terokctl
    }

    /// `terokctl`, with this place for a home.
    pub(crate) fn terokctl(&self, words: &[&str]) -> String {
        ok(self.command(&self.terokctl).args(words))
    }

    /// A program in this place's environment.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("TEROK_SANDBOX_STATE_DIR", self.path("state"))
            .env("TEROK_SANDBOX_RUNTIME_DIR", self.path("run/terok/sandbox"))
            .env("TEROK_VAULT_DIR", self.path("vault"))
            .env("CONTAINERS_CONF", self.containers_conf())
            .stdin(Stdio::null());
        command
    }

    /// Has podman, not told what to do yet, call the wrapper in the place of `runtime`, and no hooks
    /// directory.
    pub(crate) fn use_wrapper(&self, podman: &mut Command, runtime: &str) {
        podman
            .env("CONTAINERS_CONF", self.containers_conf_without_hooks())
            .arg("--runtime")
            .arg(self.installed(WRAPPER))
            .args(["--runtime-flag", &format!("terok-real-runtime={runtime}")]);
    }

    /// Completes `podman run` with the sockets, the root directory and the request: it is served, and
    /// in the end nothing is left.
    #[track_caller]
    pub(crate) fn expect_served_on_sockets(&self, mut podman_run: Command) {
        podman_run.args(["--volume", &format!("{}:/run/terok:ro", self.sockets())]);
        podman_run.arg("--rootfs").arg(self.rootfs()).args(["sh", "-c", &self.request()]);
        self.expect_served(&podman_run.output().unwrap());
        self.expect_gone();
    }

    /// Has an engine, not told what to do yet, take the root directory for an image of this name.
    pub(crate) fn import_into(&self, mut engine: Command, image: &str) {
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(self.rootfs()).args(["-c", "."]).stdout(Stdio::piped());
        let mut tar = tar.spawn().unwrap();
        let archive = tar.stdout.take().expect("its output is a pipe");
        ok(engine.args(["import", "-", image]).stdin(archive));
        assert!(tar.wait().unwrap().success());
    }

    /// The container got the upstream's answer, and the upstream the real credential.
    #[track_caller]
    pub(crate) fn expect_served(&self, output: &Output) {
        let printed = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        let diary = self.diary();
        assert!(output.status.success(), "{}: {said}{printed}{diary}", output.status);
        assert!(printed.contains(ANSWER), "{said}{printed}{diary}");
        let seen = self.upstream.seen();
        assert!(seen.len() == 1 && seen[0].contains(CREDENTIAL), "{seen:?}");
        assert!(diary.contains("listening after"), "{diary}");
    }

    /// The container's supervisor has ended with it and left no process, socket or pid file.
    #[track_caller]
    pub(crate) fn expect_gone(&self) {
        eventually("no process is left", || self.processes().is_empty());
        eventually("no pid file is left", || {
            fs::read_dir(self.state_root().pids()).is_ok_and(|files| files.count() == 0)
        });
        assert!(!Path::new(self.sockets()).join("vault/vault.sock").exists());
        assert!(Path::new(self.sidecar()).exists(), "the sidecar stays");
    }

    pub(crate) fn diary(&self) -> String {
        fs::read_to_string(self.state_root().diary()).unwrap_or_default()
    }

    /// Processes of ours that name this place.
    pub(crate) fn processes(&self) -> Vec<Process> {
        let programs = self.state_root().programs();
        let ours = |process: &Process| {
            let arguments = process.arguments().unwrap_or_default();
            let program = arguments.into_iter().next().unwrap_or_default();
            process.is_alive() && Path::new(OsStr::from_bytes(&program)).starts_with(&programs)
        };
        let pids = fs::read_dir("/proc").unwrap().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        // One that ends in this moment is none of ours any more.
        pids.filter_map(|pid| Process::of(pid).ok()).filter(ours).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The passphrase would outlive the place in the kernel's keyring.
        self.terokctl(&["vault", "lock"]);
        let left = self.processes();
        for process in &left {
            // One that ends in this moment is fine.
            let _ = process.kill();
        }
        assert!(left.is_empty() || std::thread::panicking(), "left behind: {left:?}");
        if std::thread::panicking() {
            println!("diary:\n{}", self.diary());
        }
    }
}

/// Runs a command that must go well; what it printed.
#[track_caller]
pub(crate) fn ok(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

//! One container of the operator's, from its launch to its removal, with what the host knows of it:
//! its supervisor, its traces, its part of the diary.
//!
//! When a test fails its diary and log are printed before everything is cleaned up.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use terok_shared::annotation;
use terok_shared::container::{ContainerId, ContainerName};
use terok_shared::layout::{self, StateRoot};
use terok_shared::pid_file;
use terok_shared::process::Process;
use terok_tests::eventually::{eventually, found};
use terok_tests::tree::Tree;

use crate::mode::Mode;
use crate::operator::{Operator, PROVIDER, SCOPE};

/// Every program the tests use, and `terok-bridge`.
pub(crate) const IMAGE: &str = "localhost/terok-test:full";
/// One static program.
pub(crate) const SMALL_IMAGE: &str = "localhost/terok-test:busybox";

/// What people have inside, beyond what the launch gave.
const ENVIRONMENT: [&str; 7] = [
    "HOME=/root",
    "SSH_AUTH_SOCK=/tmp/ssh-agent.sock",
    "GIT_TERMINAL_PROMPT=0",
    "GIT_AUTHOR_NAME=Agent",
    "GIT_AUTHOR_EMAIL=agent@localhost",
    "GIT_COMMITTER_NAME=Agent",
    "GIT_COMMITTER_EMAIL=agent@localhost",
];

/// Seconds for the container's processes to end by themselves.
const BRIEFLY: &str = "1";

pub(crate) struct Container<'o> {
    operator: &'o Operator,
    name: String,
    id: ContainerId,
    state_root: StateRoot,
    socket_directory: PathBuf,
    /// The variable inside that holds the phantom token for HTTP.
    pub(crate) token_variable: String,
    /// What upstream must see in its place.
    pub(crate) credential: String,
    /// The gate's repository, without `.git`.
    pub(crate) project: String,
}

impl<'o> Container<'o> {
    /// `terokctl run` with all three services, and the image's bridges to them.
    #[track_caller]
    pub(crate) fn launch(operator: &'o Operator, name: &str, mode: Mode) -> Self {
        let name = format!("{name}-{mode}");
        let mut words = launch_words(&name, mode);
        let network = match mode {
            Mode::Socket => &["--network=none"][..],
            Mode::Tcp => &[],
        };
        words.extend(["--", "--detach", "--init", "--pull=never"].map(str::to_owned));
        words.extend(network.iter().chain([&IMAGE, &"sleep", &"900"]).map(|&word| word.to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let printed = operator.terokctl_ok(&words);
        let container = Self::known(operator, &name, printed.lines().last().unwrap_or_default());
        container.bridge();
        container
    }

    /// A container that the operator's launch started, in the default places.
    #[track_caller]
    pub(crate) fn known(operator: &'o Operator, name: &str, id: &str) -> Self {
        let state_root = operator.state_root();
        Self::found_in(operator, name, id, state_root, &operator.runtime_dir())
    }

    /// The same with the state root and the runtime directory that its sidecar names.
    #[track_caller]
    pub(crate) fn found_in(
        operator: &'o Operator,
        name: &str,
        id: &str,
        state_root: StateRoot,
        runtime_dir: &Path,
    ) -> Self {
        let checked = ContainerName::parse(name).unwrap();
        Self {
            operator,
            name: name.to_owned(),
            id: ContainerId::parse(id).unwrap(),
            state_root,
            socket_directory: layout::socket_directory(runtime_dir, &checked),
            token_variable: format!("TEROK_{}_TOKEN", PROVIDER.to_uppercase()),
            credential: operator.credential().to_owned(),
            project: name.to_owned(),
        }
    }

    pub(crate) fn operator(&self) -> &'o Operator {
        self.operator
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn id(&self) -> String {
        self.id.to_string()
    }

    pub(crate) fn sidecar(&self) -> PathBuf {
        self.state_root.sidecar(&ContainerName::parse(&self.name).expect("parsed before"))
    }

    pub(crate) fn socket_directory(&self) -> &Path {
        &self.socket_directory
    }

    pub(crate) fn mirror(&self) -> PathBuf {
        self.state_root.mirrors().join(format!("{}.git", self.project))
    }

    /// Starts the image's own bridges, as its entry point would.
    #[track_caller]
    pub(crate) fn bridge(&self) {
        self.shell_ok("terok-bridge");
    }

    /// A shell line inside, with what an image for people has in its environment.
    pub(crate) fn shell(&self, script: &str) -> Output {
        self.shell_command(script).stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn shell_ok(&self, script: &str) -> String {
        let output = self.shell(script);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {}\n{said}", output.status);
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// The same, going on while the test does other things.
    pub(crate) fn shell_beside(&self, script: &str) -> Child {
        let mut command = self.shell_command(script);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn shell_command(&self, script: &str) -> Command {
        let mut podman = Command::new("podman");
        podman.args(["exec", "--workdir", "/root"]);
        podman.args(ENVIRONMENT.iter().flat_map(|variable| ["--env", variable]));
        podman.args([&self.name, "sh", "-c", script]);
        podman
    }

    /// Puts a file into the working directory of shell lines.
    #[track_caller]
    pub(crate) fn give(&self, name: &str, text: &str) {
        self.shell_ok(&format!("cat > {name} <<'END'\n{text}\nEND"));
    }

    #[track_caller]
    pub(crate) fn stop(&self) {
        self.operator.podman_ok(&["stop", "--time", BRIEFLY, &self.name]);
    }

    #[track_caller]
    pub(crate) fn start(&self) {
        self.operator.podman_ok(&["start", &self.name]);
    }

    #[track_caller]
    pub(crate) fn remove(&self) {
        self.operator.podman_ok(&["rm", "--force", "--time", BRIEFLY, &self.name]);
    }

    #[track_caller]
    pub(crate) fn tree(&self) -> Tree {
        let parent = found("a living supervisor", || self.supervisor());
        Tree { parent }
    }

    pub(crate) fn supervisor(&self) -> Option<Process> {
        pid_file::living(&self.pid_file(), &self.id).map(|living| living.supervisor)
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.state_root.pid_file(&self.id)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.state_root.container_log(&self.id)).unwrap_or_default()
    }

    /// Processes, pid file and sockets of this container that are there now.
    fn traces(&self, tree: Tree) -> Vec<String> {
        let mut traces = processes_naming(self.id.as_str());
        if !tree.is_gone() {
            traces.push(format!("{:?}", tree.members()));
        }
        let sockets = [layout::BROKER_SOCKET, layout::SIGNER_SOCKET, layout::GATE_SOCKET];
        let files = sockets.map(|socket| self.socket_directory.join(socket)).into_iter();
        let left = files.chain([self.pid_file()]).filter(|path| path.exists());
        traces.extend(left.map(|path| path.display().to_string()));
        traces
    }

    /// Waits until no trace is left.
    #[track_caller]
    pub(crate) fn expect_gone(&self, tree: Tree) {
        let mut left = vec![];
        let gone = || {
            left = self.traces(tree);
            left.is_empty()
        };
        eventually(&format!("{} leaves nothing running", self.name), gone);
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let diary = self.operator.diary_of(self.id.as_str()).join("\n");
            println!("{}: its diary:\n{diary}\nits log:\n{}", self.name, self.log());
        }
        self.operator.podman(&["rm", "--force", "--time", "0", &self.name]);
        self.operator.terokctl(&["cleanup", "--force", &self.name]);
    }
}

/// `terokctl run` as far as the words before `--`.
pub(crate) fn launch_words(name: &str, mode: Mode) -> Vec<String> {
    let mode = mode.to_string();
    let words = ["run", name, "--mode", &mode, "--project", name, "--scope", SCOPE];
    let services = ["--provider", PROVIDER, "--ssh", "--gate", "--init-mirror"];
    words.into_iter().chain(services).map(str::to_owned).collect()
}

/// Plain `podman run` of a small container in the background, with this annotation.
pub(crate) fn run_annotated(operator: &Operator, name: &str, sidecar: &str) -> Output {
    let annotation = format!("{}={sidecar}", annotation::KEY);
    let options = ["run", "--detach", "--pull=never", "--network=none", "--name", name];
    let rest = ["--annotation", &annotation, SMALL_IMAGE, "sleep", "900"];
    operator.podman(&[&options[..], &rest].concat())
}

/// Programs of ours with this word among their arguments.
pub(crate) fn processes_naming(word: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read_to_string(entry.path().join("cmdline")).ok());
    let ours = |line: &String| {
        let program = line.split('\0').next().unwrap_or_default();
        program.rsplit('/').next().is_some_and(|name| name.starts_with("terok-"))
    };
    let naming = lines.filter(|line| ours(line) && line.contains(word));
    naming.map(|line| line.replace('\0', " ")).collect()
}

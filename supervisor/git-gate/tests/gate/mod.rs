//! A real gate before a bare mirror in a temporary directory, started as its parent would start
//! it, and real git as its client.

#![allow(dead_code)] // each test file uses a part
#![allow(clippy::unwrap_used, clippy::print_stderr)] // a broken expectation ends the test

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};
use serde_json::{Value, json};
use tempfile::TempDir;
use terok_shared::sys::descriptors;

pub(crate) const TOKEN: &str = "terok-g-00112233445566778899aabbccddeeff";
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_terok-git-gate");
pub(crate) const PROJECT: &str = "web";

/// The gits that clients use: the one that `TEROK_TEST_CLIENT_GIT` names, an older one perhaps, or
/// all of this machine's. Whatever it says, the gate and its mirror use this machine's.
pub(crate) fn clients() -> Vec<PathBuf> {
    std::env::var_os("TEROK_TEST_CLIENT_GIT").map_or_else(gits, |git| vec![git.into()])
}

/// Every git of this machine; each has to work on either side.
fn gits() -> Vec<PathBuf> {
    ["/usr/bin/git", "/usr/local/bin/git"]
        .map(PathBuf::from)
        .into_iter()
        .filter(|p| p.exists())
        .collect()
}

pub(crate) struct World {
    root: TempDir,
    listener: TcpListener,
    policy: Option<Value>,
    pub(crate) program: PathBuf,
    pub(crate) gate: Child,
    /// The git that clients use.
    pub(crate) git: PathBuf,
}

/// How a world differs from the usual one.
pub(crate) struct Plan<'a> {
    /// Where the gate looks for its git.
    pub(crate) path: &'a str,
    /// Options of `git init` for the mirror; without any there is no mirror.
    pub(crate) mirror: Option<&'a [&'a str]>,
    /// The sidecar's `gate_policy`.
    pub(crate) policy: Option<Value>,
}

impl Default for Plan<'_> {
    fn default() -> Self {
        Self { path: "/usr/local/bin:/usr/bin:/bin", mirror: Some(&[]), policy: None }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::planned(&Plan::default())
    }

    /// With a `gate_policy` in the sidecar.
    pub(crate) fn ruled(policy: Value) -> Self {
        Self::planned(&Plan { policy: Some(policy), ..Plan::default() })
    }

    pub(crate) fn planned(plan: &Plan<'_>) -> Self {
        let root = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        fs::create_dir(root.path().join("mirrors")).unwrap();
        let gate = Command::new("/bin/true").spawn().unwrap();
        let policy = plan.policy.clone();
        let program = own_program(root.path());
        let mut world = Self { root, listener, policy, program, gate, git: clients().remove(0) };
        if let Some(options) = plan.mirror {
            world.make_mirror(options);
        }
        world.start(plan.path);
        world
    }

    /// Starts a (new) gate on the same listener and waits until it is ready.
    pub(crate) fn start(&mut self, path: &str) {
        let (gate, ready) =
            spawn(&self.program, self.root(), &self.listener, path, self.policy.as_ref());
        self.gate.wait().unwrap();
        self.gate = gate;
        let mut said = Vec::new();
        File::from(ready).read_to_end(&mut said).unwrap();
        assert_eq!(said, b"R", "{}", self.said());
    }

    pub(crate) fn make_mirror(&self, options: &[&str]) {
        let mut arguments = vec!["init", "-q", "--bare", "-b", "main"];
        arguments.extend(options);
        let mirror = self.mirror();
        arguments.push(mirror.to_str().unwrap());
        let made = self.command_of(&gits()[0], self.root(), &arguments).status().unwrap();
        assert!(made.success());
        self.in_mirror(&["config", "core.compression", "0"]);
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn base(&self) -> PathBuf {
        self.root.path().join("mirrors")
    }

    pub(crate) fn mirror(&self) -> PathBuf {
        self.base().join(format!("{PROJECT}.git"))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.path().join("log")
    }

    /// The file beside the mirror.
    pub(crate) fn policy_file(&self) -> PathBuf {
        self.base().join(format!("{PROJECT}.policy.json"))
    }

    /// The lines of the audit.
    pub(crate) fn audit(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.root().join("audit")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What the gate has logged.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    pub(crate) fn url(&self) -> String {
        self.url_of(TOKEN, PROJECT)
    }

    pub(crate) fn url_of(&self, token: &str, project: &str) -> String {
        format!("http://{token}:x@127.0.0.1:{}/{project}.git", self.port())
    }

    pub(crate) fn git_command(&self, directory: &Path, arguments: &[&str]) -> Command {
        self.command_of(&self.git, directory, arguments)
    }

    fn command_of(&self, git: &Path, directory: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(git);
        command
            .args(["-c", "http.proxy=", "-c", "user.name=T", "-c", "user.email=t@example.org"])
            .args(["-c", "init.defaultBranch=main", "-c", "gc.auto=0"])
            // What tests send is random or small.
            .args(["-c", "core.compression=0"])
            .args(arguments)
            .current_dir(directory)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.root.path())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn git(&self, directory: &Path, arguments: &[&str]) -> Output {
        self.git_command(directory, arguments).output().unwrap()
    }

    pub(crate) fn git_ok(&self, directory: &Path, arguments: &[&str]) -> String {
        self.said_by(self.git_command(directory, arguments))
    }

    fn said_by(&self, mut command: Command) -> String {
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{command:?}: {errors}\ngate: {}", self.said());
        String::from_utf8(output.stdout).unwrap() + &errors
    }

    /// Runs git in the mirror, past the gate.
    pub(crate) fn in_mirror(&self, arguments: &[&str]) -> String {
        let command = self.command_of(&gits()[0], &self.mirror(), arguments);
        self.said_by(command).trim_end().to_owned()
    }

    /// A new repository of its own with one commit that holds `bytes` random bytes, and the gate
    /// as its `origin`.
    pub(crate) fn work_tree(&self, name: &str, bytes: usize) -> PathBuf {
        let tree = self.root.path().join(name);
        fs::create_dir(&tree).unwrap();
        self.init(&tree);
        self.git_ok(&tree, &["remote", "add", "origin", &self.url()]);
        self.commit(&tree, "first", bytes);
        tree
    }

    /// An empty repository in an existing directory, on `main` also where git does not know
    /// `init.defaultBranch` (before 2.28).
    pub(crate) fn init(&self, tree: &Path) {
        self.git_ok(tree, &["init", "-q"]);
        self.git_ok(tree, &["symbolic-ref", "HEAD", "refs/heads/main"]);
    }

    /// Whether the clients' git is at least this version.
    pub(crate) fn client_is(&self, at_least: (u32, u32)) -> bool {
        let said = self.git_ok(self.root(), &["version"]);
        let numbers = said.split([' ', '.']).filter_map(|word| word.parse().ok());
        let numbers: Vec<u32> = numbers.take(2).collect();
        (numbers[0], numbers[1]) >= at_least
    }

    pub(crate) fn commit(&self, tree: &Path, name: &str, bytes: usize) -> String {
        fs::write(tree.join(name), random(bytes)).unwrap();
        self.git_ok(tree, &["add", name]);
        self.git_ok(tree, &["commit", "-q", "-m", name]);
        self.git_ok(tree, &["rev-parse", "HEAD"]).trim_end().to_owned()
    }

    /// Sends `request` as it is and returns everything until the gate closes.
    pub(crate) fn raw(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// The processes git runs for this gate, known by an environment only we give them.
    pub(crate) fn backends(&self) -> Vec<i32> {
        let sign = format!("GIT_PROJECT_ROOT={}", fs::canonicalize(self.base()).unwrap().display());
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|pid: &i32| {
                let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                environment.split(|&b| b == 0).any(|variable| variable == sign.as_bytes())
            })
            .collect()
    }

    /// A figure of the gate's `/proc/<pid>/status`, in KiB.
    pub(crate) fn status_kib(&self, key: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.gate.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.gate.id() as i32);
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// A client comes, whom the gate must leave to its successor; the code of what that answers.
    pub(crate) fn succeeded(&mut self) -> u16 {
        let mut client = self.connect();
        client.write_all(&refs_request(true)).unwrap();
        assert_eq!(self.ended().code(), Some(0), "{}", self.said());
        self.start("/usr/bin:/bin");
        status_of(&mut client)
    }

    pub(crate) fn ended(&mut self) -> ExitStatus {
        eventually("the gate ends", Duration::from_secs(5), || {
            self.gate.try_wait().unwrap().is_some()
        });
        self.gate.wait().unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.gate.kill();
        let _ = self.gate.wait();
        if std::thread::panicking() {
            std::eprintln!("{}", self.said());
        }
    }
}

/// A name of its own for the gate's program: a gate ends when its program is replaced, as a build
/// beside these tests would do, and its clients would wait for the next one.
pub(crate) fn own_program(root: &Path) -> PathBuf {
    let directory = root.join("libexec");
    fs::create_dir(&directory).unwrap();
    let program = directory.join("terok-git-gate");
    if fs::hard_link(PROGRAM, &program).is_err() {
        fs::copy(PROGRAM, &program).unwrap();
    }
    program
}

/// Starts a gate before `<root>/mirrors` as `terok-supervisor` does; the second is the reading end
/// of its ready pipe.
pub(crate) fn spawn(
    program: &Path,
    root: &Path,
    listener: &TcpListener,
    path: &str,
    policy: Option<&Value>,
) -> (Child, OwnedFd) {
    let _low = descriptors::reserve_up_to(10).unwrap();
    let (ready, says_ready) = nix::unistd::pipe().unwrap();
    let listener = OwnedFd::from(listener.try_clone().unwrap());
    let slice = json!({
        "common": {
            "parent_pid": std::process::id(),
            "allow_debugger": false,
            "container_name": "test",
        },
        "service": {
            "base_path": root.join("mirrors"),
            "project_id": PROJECT,
            "token": TOKEN,
            "policy": policy,
        },
    });
    let audit = File::options().create(true).append(true).open(root.join("audit")).unwrap();
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", path)
        .env("TEROK_LOG", "debug")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(File::options().create(true).append(true).open(root.join("log")).unwrap())
        .fd_mappings(vec![
            FdMapping { parent_fd: says_ready, child_fd: 3 },
            FdMapping { parent_fd: listener, child_fd: 4 },
            FdMapping { parent_fd: audit.into(), child_fd: 7 },
        ])
        .unwrap();
    let mut gate = command.spawn().unwrap();
    gate.stdin.take().unwrap().write_all(slice.to_string().as_bytes()).unwrap();
    (gate, ready)
}

/// Asks for the refs of the mirror.
pub(crate) fn refs_request(is_last: bool) -> Vec<u8> {
    let connection = if is_last { "close" } else { "keep-alive" };
    format!(
        "GET /{PROJECT}.git/info/refs?service=git-upload-pack HTTP/1.1\r\n\
         Host: gate\r\nConnection: {connection}\r\n{}\r\n",
        authorization(TOKEN)
    )
    .into_bytes()
}

/// The status code of an answer whose rest is left unread.
pub(crate) fn status_of(client: &mut TcpStream) -> u16 {
    let mut line = [0; "HTTP/1.1 200".len()];
    client.read_exact(&mut line).unwrap();
    std::str::from_utf8(&line).unwrap().split(' ').nth(1).unwrap().parse().unwrap()
}

pub(crate) fn random(bytes: usize) -> Vec<u8> {
    let mut random = vec![0; bytes];
    File::open("/dev/urandom").unwrap().read_exact(&mut random).unwrap();
    random
}

/// Waits until `claim` holds.
#[track_caller]
pub(crate) fn eventually(what: &str, limit: Duration, mut claim: impl FnMut() -> bool) {
    let start = Instant::now();
    while !claim() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// `Authorization` of the right token, as a header line.
pub(crate) fn authorization(token: &str) -> String {
    use base64::Engine;
    let credentials = base64::engine::general_purpose::STANDARD.encode(format!("{token}:x"));
    format!("Authorization: Basic {credentials}\r\n")
}

/// Sends the head of a request to a service, and `rest` as it is.
pub(crate) fn begin(world: &World, service: &str, rest: &[u8]) -> TcpStream {
    let mut stream = world.connect();
    let head = format!(
        "POST /web.git/git-{service} HTTP/1.1\r\nHost: g\r\n{}\
         Content-Type: application/x-git-{service}-request\r\n",
        authorization(TOKEN)
    );
    stream.write_all(&[head.as_bytes(), rest].concat()).unwrap();
    stream
}

pub(crate) fn pkt(line: &str) -> String {
    format!("{:04x}{line}", line.len() + 4)
}

/// Sends the commands of a push and the start of its pack, then no more.
pub(crate) fn begin_push(world: &World, name: &str) -> TcpStream {
    let (old, new) = ("0".repeat(40), "1".repeat(40));
    let commands = pkt(&format!("{old} {new} refs/heads/{name}\0report-status\n"));
    let body = format!("{commands}0000PACK\0\0\0\u{2}\0\0\0\u{9}");
    let chunk = format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n", body.len());
    begin(world, "receive-pack", chunk.as_bytes())
}

/// Sends a whole push request; the answer until the gate closes.
pub(crate) fn post_push(world: &World, body: &str) -> String {
    let length = format!("Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut stream = begin(world, "receive-pack", length.as_bytes());
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

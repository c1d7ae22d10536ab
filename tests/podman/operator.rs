//! The operator of this machine: podman, `terokctl setup` done, a vault with one credential and
//! four SSH keys, and an upstream that remembers what it is sent.
//!
//! Everything is where an operator has it by default, below a home that must be fresh. The secrets
//! are made here, so that tests know what must never show up in a container.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::ops::Deref;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{LazyLock, Once, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use terok_shared::layout::StateRoot;
use terok_shared::secret::Secret;
use terok_shared::token;
use terok_tests::upstream::Upstream;

use crate::private_key;

/// The scope of all keys and tokens.
pub(crate) const SCOPE: &str = "suite";
/// The one provider with a route and a credential.
pub(crate) const PROVIDER: &str = "fake";

/// What the operator had in containers.conf before.
const OWN_CONFIGURATION: &str = "\
# Kept for the day the disk was full.
[containers]
log_size_max = 50000000 # bytes

[engine]
";

pub(crate) struct Operator {
    home: PathBuf,
    programs: PathBuf,
    upstream: Upstream,
    /// What the provider wants to see.
    credential: Secret<String>,
    /// Everything that no container may see, by name.
    secrets: Vec<(String, Secret<Vec<u8>>)>,
}

/// The operator, among other tests that are at work too.
pub(crate) struct AtWork(&'static Operator, #[expect(dead_code)] RwLockReadGuard<'static, ()>);

/// The operator, while no other test is at work.
pub(crate) struct Alone(&'static Operator, #[expect(dead_code)] RwLockWriteGuard<'static, ()>);

static OPERATOR: LazyLock<Operator> = LazyLock::new(Operator::settle_in);
static TURN: RwLock<()> = RwLock::new(());

/// The operator of this run, if it is one with containers.
pub(crate) fn at_work() -> Option<AtWork> {
    may_run().then(|| AtWork(&OPERATOR, TURN.read().unwrap_or_else(PoisonError::into_inner)))
}

/// The same for a test that takes away what others stand on, and puts it back.
pub(crate) fn alone() -> Option<Alone> {
    may_run().then(|| Alone(&OPERATOR, TURN.write().unwrap_or_else(PoisonError::into_inner)))
}

fn may_run() -> bool {
    static SAY: Once = Once::new();
    let run = std::env::var_os("TEROK_TEST_RUNTIME").is_some();
    if !run {
        // Not by a macro, whose words would be kept back as a passing test's output.
        SAY.call_once(|| {
            let why = b"skipped: real containers, TEROK_TEST_RUNTIME is not set\n\
                        hint: tests/podman/suite crun\n";
            std::io::stderr().write_all(why).unwrap();
        });
    }
    run
}

impl Operator {
    fn settle_in() -> Self {
        let home = PathBuf::from(std::env::var_os("HOME").expect("an operator has a home"));
        let programs = std::env::var_os("TEROK_TEST_PROGRAMS").expect("the suite names programs");
        let (credential, passphrase) = (random("real-"), random(""));
        let bytes = |secret: &Secret<String>| secret.expose().as_bytes().to_vec().into();
        let secrets = [("credential", bytes(&credential)), ("passphrase", bytes(&passphrase))];
        let mut operator = Self {
            home,
            programs: programs.into(),
            upstream: Upstream::start(),
            credential,
            secrets: secrets.map(|(name, secret)| (name.to_owned(), secret)).into(),
        };
        operator.write_own_configuration();
        operator.terokctl_ok(&["setup"]);
        operator.fill_vault(&passphrase);
        operator.import_keys();
        operator
    }

    /// Refuses a home in which somebody lives.
    fn write_own_configuration(&self) {
        let path = self.containers_conf();
        fs::create_dir_all(path.parent().expect("it is in a directory")).unwrap();
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(&path).unwrap_or_else(|why| {
                panic!("{}: {why}\nhint: tests/podman/suite", path.display())
            });
        file.write_all(self.own_configuration().as_bytes()).unwrap();
    }

    /// What containers.conf says without us: the runtime under test, and words of the operator's.
    pub(crate) fn own_configuration(&self) -> String {
        format!("{OWN_CONFIGURATION}runtime = \"{}\"\n", self.runtime())
    }

    fn fill_vault(&self, passphrase: &Secret<String>) {
        let file = self.private_file("passphrase", passphrase);
        self.terokctl_ok(&["vault", "init", "--passphrase-file", file.to_str().unwrap()]);
        let secret = self.private_file("credential", &self.credential);
        let (secret, url) = (secret.to_str().unwrap(), self.upstream.url());
        self.terokctl_ok(&["vault", "add", PROVIDER, "--from-file", secret, "--upstream", &url]);
        for (kind, default) in [("ed25519", &["--default"][..]), ("rsa", &[])] {
            let words = ["ssh", "generate", "--scope", SCOPE, "--type", kind, "--comment", kind];
            self.terokctl_ok(&[&words[..], default].concat());
        }
    }

    /// Keys that we know the private halves of, which a generated key keeps to the vault.
    fn import_keys(&mut self) {
        for kind in ["ed25519", "rsa"] {
            let file = self.home.join(format!("imported-{kind}"));
            let path = file.to_str().unwrap();
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-N", "", "-t", kind, "-C", "imported", "-f", path]);
            ok("ssh-keygen", &mut keygen);
            self.terokctl_ok(&["ssh", "import", path, "--scope", SCOPE]);
            let text = fs::read_to_string(&file).unwrap();
            let parts = private_key::parts(&text).into_iter();
            self.secrets.extend(parts.map(|(part, secret)| (format!("{kind} {part}"), secret)));
            fs::remove_file(&file).unwrap();
        }
    }

    fn private_file(&self, name: &str, secret: &Secret<String>) -> PathBuf {
        let path = self.home.join(name);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).unwrap();
        writeln!(file, "{}", secret.expose()).unwrap();
        path
    }

    pub(crate) fn runtime(&self) -> String {
        std::env::var("TEROK_TEST_RUNTIME").expect("checked by `may_run`")
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    pub(crate) fn containers_conf(&self) -> PathBuf {
        self.home.join(".config/containers/containers.conf")
    }

    pub(crate) fn state_root(&self) -> StateRoot {
        StateRoot::new(self.home.join(".local/share/terok/sandbox"))
    }

    pub(crate) fn runtime_dir(&self) -> PathBuf {
        let directory = std::env::var_os("XDG_RUNTIME_DIR").expect("an operator is logged in");
        PathBuf::from(directory).join("terok/sandbox")
    }

    pub(crate) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    pub(crate) fn credential(&self) -> &str {
        self.credential.expose()
    }

    pub(crate) fn secrets(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.secrets.iter().map(|(name, secret)| (name.as_str(), secret.expose().as_slice()))
    }

    /// Every key of the scope, in the form of `authorized_keys`.
    pub(crate) fn public_keys(&self) -> Vec<String> {
        let lines = self.terokctl_ok(&["ssh", "pub", "--scope", SCOPE]);
        lines.lines().map(str::to_owned).collect()
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    pub(crate) fn terokctl(&self, words: &[&str]) -> Output {
        output(Command::new(self.program("terokctl")).args(words))
    }

    #[track_caller]
    pub(crate) fn terokctl_ok(&self, words: &[&str]) -> String {
        succeeded(&format!("terokctl {}", words.join(" ")), self.terokctl(words))
    }

    pub(crate) fn podman(&self, words: &[&str]) -> Output {
        output(Command::new("podman").args(words))
    }

    #[track_caller]
    pub(crate) fn podman_ok(&self, words: &[&str]) -> String {
        succeeded(&format!("podman {}", words.join(" ")), self.podman(words))
    }

    /// Lines of the hook's diary that speak of this container.
    pub(crate) fn diary_of(&self, id: &str) -> Vec<String> {
        let text = fs::read_to_string(self.state_root().diary()).unwrap_or_default();
        let mark = format!("[{}]", &id[..12]);
        text.lines().filter(|line| line.contains(&mark)).map(str::to_owned).collect()
    }
}

impl Deref for AtWork {
    type Target = Operator;

    fn deref(&self) -> &Operator {
        self.0
    }
}

impl Deref for Alone {
    type Target = Operator;

    fn deref(&self) -> &Operator {
        self.0
    }
}

/// Runs a command that must go well; what it printed.
#[track_caller]
pub(crate) fn ok(what: &str, command: &mut Command) -> String {
    succeeded(what, output(command))
}

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
pub(crate) fn succeeded(what: &str, output: Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{what}: {}\n{said}{printed}", output.status);
    printed.trim_end().to_owned()
}

fn random(prefix: &str) -> Secret<String> {
    let minted = token::mint_gate().unwrap();
    let bits = minted.expose().strip_prefix(token::GATE_PREFIX).expect("minted with it");
    Secret::from(format!("{prefix}{bits}"))
}

//! A vault with a credential and a key in two scopes, and keepers on it.

use std::fs::{self, File};
use std::io::{PipeReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use terok_shared::handover::{
    Common, FIRST_STRAY_FD, KeeperSlice, LINE_FD, READY_FD, SIGNER_LINE_FD, Slice, TokenLimits,
};
use terok_shared::secret::Secret;
use terok_shared::sys::descriptors;
use vault_grant::ssh_wire::put_string;
use vault_grant::{Answer, Line, Notice, Question, Reply, Request, Route, ToSign};
use vault_store::Vault;
use vault_store::credential::{Credential, KeyType};
use vault_store::database::RekeyError;
use vault_store::scope::{Comment, ScopeName};
use vault_store::ssh_key::KeyKind;
use vault_store::ssh_key::generate::generate;
use vault_store::token::TokenInfo;

pub(crate) const PASSPHRASE: &str = "the passphrase of this test";
pub(crate) const REAL: &str = "the real credential";

pub(crate) struct House {
    pub(crate) directory: tempfile::TempDir,
    /// For `own` and for `other`: a token for the credential, and one for the keys.
    pub(crate) own: [String; 2],
    pub(crate) other: [String; 2],
    /// Public blobs of the two scopes' keys.
    pub(crate) keys: [Vec<u8>; 2],
}

impl House {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut vault = Vault::create(&database(&directory), &passphrase()).unwrap();
        let credential = Credential::key(KeyType::ApiKey, &Secret::from(REAL.to_owned()));
        vault.put_credential("default", "api", &credential).unwrap();
        let keys = ["own", "other"].map(|scope| {
            let pair = generate(KeyKind::Ed25519, Comment::default()).unwrap();
            vault.add_ssh_key(&ScopeName::parse(scope).unwrap(), &pair).unwrap();
            pair.public_blob().to_vec()
        });
        let mut mint = |scope: &str, provider: &str| {
            let info = TokenInfo {
                scope: scope.into(),
                subject: "web".into(),
                credential_set: "default".into(),
                provider: provider.into(),
            };
            vault.mint_token(&info).unwrap().expose().clone()
        };
        let own = [mint("own", "api"), mint("own", "ssh")];
        let other = [mint("other", "api"), mint("other", "ssh")];
        fs::write(directory.path().join("passphrase"), PASSPHRASE).unwrap();
        Self { directory, own, other, keys }
    }

    pub(crate) fn vault(&self) -> Vault {
        Vault::open(&database(&self.directory), &passphrase()).unwrap()
    }

    pub(crate) fn change_passphrase(&self, new: &str) -> Result<(), RekeyError> {
        let database = database(&self.directory);
        Vault::change_passphrase(&database, &passphrase(), &secret(new)).map(drop)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A keeper for a container of scope `own`.
    pub(crate) fn keeper(&self) -> Keeper {
        Keeper::start(self, Command::new(KEEPER))
    }

    /// The same where the user has no inotify instance left (namespaces(7), `user.*` limits).
    pub(crate) fn keeper_without_inotify(&self) -> Keeper {
        let mut command = Command::new("unshare");
        let script = "echo 0 >/proc/sys/user/max_inotify_instances && exec \"$0\"";
        command.args(["--user", "--map-root-user", "sh", "-c", script, KEEPER]);
        Keeper::start(self, command)
    }
}

const KEEPER: &str = env!("CARGO_BIN_EXE_terok-vault-keeper");

fn database(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("credentials.db")
}

pub(crate) fn passphrase() -> Secret<String> {
    PASSPHRASE.to_owned().into()
}

pub(crate) struct Keeper {
    pub(crate) process: Child,
    pub(crate) broker: Line,
    pub(crate) signer: Line,
    log: PathBuf,
    /// A keeper that could not say that it serves would end.
    _ready: PipeReader,
}

impl Keeper {
    fn start(house: &House, command: Command) -> Self {
        let log = house.path("log");
        let (broker, brokers_end) = vault_grant::pair().unwrap();
        let (signer, signers_end) = vault_grant::pair().unwrap();
        let (mut process, ready) = spawn(command, house, &log, &broker, &signer);
        let slice = Slice {
            common: Common {
                parent_pid: std::process::id().try_into().unwrap(),
                allow_debugger: false,
                container_name: "web".into(),
                leave_after: None,
            },
            service: slice(house),
        };
        let text = serde_json::to_vec(&slice).unwrap();
        process.stdin.take().unwrap().write_all(&text).unwrap();
        let (broker, signer) = (Line::new(brokers_end), Line::new(signers_end));
        Self { process, broker, signer, log, _ready: ready }
    }

    pub(crate) fn ask_as_broker(&self, question: Question) -> Answer {
        ask(&self.broker, question).expect("an answer, not a notice")
    }

    pub(crate) fn ask_as_signer(&self, question: Question) -> Answer {
        ask(&self.signer, question).expect("an answer, not a notice")
    }

    /// Whether this question is met with the notice that the vault is locked.
    pub(crate) fn is_locked(&self) -> bool {
        ask(&self.signer, Question::Identities { token: secret("any") }).is_err()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(format!("/proc/{}/{name}", self.process.id())).unwrap()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            println!("{}", self.log());
        }
    }
}

fn spawn(
    mut command: Command,
    house: &House,
    log: &Path,
    broker: &OwnedFd,
    signer: &OwnedFd,
) -> (Child, PipeReader) {
    let reserved = descriptors::reserve_up_to(FIRST_STRAY_FD).unwrap();
    let (ready, readied) = std::io::pipe().unwrap();
    let mut mappings = vec![FdMapping { parent_fd: readied.into(), child_fd: READY_FD }];
    for (line, child_fd) in [(broker, LINE_FD), (signer, SIGNER_LINE_FD)] {
        mappings.push(FdMapping { parent_fd: line.try_clone().unwrap(), child_fd });
    }
    let log = File::options().create(true).append(true).open(log).unwrap();
    command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(house.directory.path());
    command.env("TEROK_LOG", "debug");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
    command.fd_mappings(mappings).unwrap();
    let child = command.spawn().unwrap();
    drop(reserved);
    (child, ready)
}

fn slice(house: &House) -> KeeperSlice {
    // Each run of the helper leaves a mark.
    let helper = house.path("helper");
    let script = format!(
        "#!/bin/sh\necho run >>{0}/runs\ncat {0}/passphrase 2>/dev/null",
        house.directory.path().display()
    );
    fs::write(&helper, script).unwrap();
    KeeperSlice {
        db_path: house.path("credentials.db"),
        sealed_passphrase: house.path("absent"),
        use_keyring: false,
        passphrase_command: Some(format!("/bin/sh {}", helper.display())),
        session_directories: vec![],
        refresh_locks: house.path("locks"),
        limits: TokenLimits { scope_id: "own".into(), ..TokenLimits::default() },
    }
}

/// Asks and waits; a notice that the vault is locked is an error, other notices are passed over.
fn ask(line: &Line, question: Question) -> Result<Answer, Notice> {
    line.send(&Request { id: 7, question }).unwrap();
    loop {
        match receive(line) {
            Reply::To(7, answer) => return Ok(answer),
            Reply::Notice(Notice::Locked) => return Err(Notice::Locked),
            Reply::To(..) | Reply::Notice(_) => {}
        }
    }
}

pub(crate) fn receive(line: &Line) -> Reply {
    let mut readable = [PollFd::new(line.as_fd(), PollFlags::POLLIN)];
    let waited = poll(&mut readable, PollTimeout::try_from(10_000).unwrap()).unwrap();
    assert_eq!(waited, 1, "the keeper says nothing");
    line.receive().unwrap()
}

pub(crate) fn secret(text: &str) -> Secret<String> {
    text.to_owned().into()
}

pub(crate) fn grant(token: &str) -> Question {
    Question::Grant { token: secret(token) }
}

pub(crate) fn identities(token: &str) -> Question {
    Question::Identities { token: secret(token) }
}

/// A message of `ssh-keygen -Y sign`.
pub(crate) fn to_sign(public_blob: &[u8], namespace: &str) -> ToSign {
    let mut data = b"SSHSIG".to_vec();
    for part in [namespace.as_bytes(), b"", b"sha256", &[1; 32]] {
        put_string(&mut data, part);
    }
    ToSign { public_blob: public_blob.to_vec(), data, flags: 0, route: Route::default() }
}

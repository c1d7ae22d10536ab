//! One vault, and supervisors on it: a keeper and a broker each, with a line between them.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use serde::Serialize;
use terok_shared::handover::{
    BrokerSlice, Common, FIRST_STRAY_FD, KeeperSlice, LINE_FD, LISTENER_FD, READY_FD, Slice,
    TokenLimits,
};
use terok_shared::secret::Secret;
use terok_shared::sys::descriptors;
use vault_store::Vault;
use vault_store::credential::Credential;
use vault_store::token::TokenInfo;

use crate::provider::Provider;

pub(crate) struct House {
    directory: tempfile::TempDir,
    token: Secret<String>,
    count: AtomicUsize,
}

impl House {
    /// A vault with one login at this provider, and a route to it.
    pub(crate) fn with_login(provider: &Provider) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("credentials.db");
        let mut vault = Vault::create(&database, &passphrase()).unwrap();
        let login = r#"{"type":"oauth","access_token":"access-0","refresh_token":"refresh-0",
                        "expires_at":99999999999}"#;
        vault.put_credential("default", "p", &Credential::parse(login).unwrap()).unwrap();
        let info = TokenInfo {
            scope: "scope".into(),
            subject: "web".into(),
            credential_set: "default".into(),
            provider: "p".into(),
        };
        let token = vault.mint_token(&info).unwrap();
        let url = provider.url();
        let routes = format!(
            r#"{{"p": {{"upstream": "{url}",
                "oauth_refresh": {{"token_url": "{url}/token", "client_id": "app"}}}}}}"#
        );
        fs::write(directory.path().join("routes.json"), routes).unwrap();
        Self { directory, token, count: AtomicUsize::new(0) }
    }

    pub(crate) fn supervisor(&self) -> Supervisor {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        Supervisor::start(self.directory.path().to_owned(), number, self.token.expose().clone())
    }

    pub(crate) fn refresh_token(&self) -> String {
        let vault = Vault::open(&self.directory.path().join("credentials.db"), &passphrase());
        let login = vault.unwrap().credential("default", "p").unwrap().unwrap();
        login.refresh_token().unwrap().expose().clone()
    }
}

fn passphrase() -> Secret<String> {
    "p".to_owned().into()
}

/// A keeper and a broker. Their line's ends and the listener stay here, as with the real parent.
pub(crate) struct Supervisor {
    directory: PathBuf,
    number: usize,
    token: String,
    keepers_end: OwnedFd,
    brokers_end: OwnedFd,
    listener: UnixListener,
    keeper: Child,
    broker: Child,
}

/// Where a container knocks.
pub(crate) struct Door {
    socket: PathBuf,
    token: String,
}

impl Supervisor {
    fn start(directory: PathBuf, number: usize, token: String) -> Self {
        let (keepers_end, brokers_end) = vault_grant::pair().unwrap();
        let listener = UnixListener::bind(directory.join(format!("{number}.sock"))).unwrap();
        let keeper = keeper(&directory, number, &keepers_end);
        let broker = broker(&directory, number, &brokers_end, &listener);
        Self { directory, number, token, keepers_end, brokers_end, listener, keeper, broker }
    }

    pub(crate) fn door(&self) -> Door {
        let socket = self.directory.join(format!("{}.sock", self.number));
        Door { socket, token: self.token.clone() }
    }

    /// The status of one request.
    pub(crate) fn get(&self) -> u16 {
        self.door().get()
    }

    pub(crate) fn restart_keeper(&mut self) {
        end(&mut self.keeper);
        self.keeper = keeper(&self.directory, self.number, &self.keepers_end);
    }

    pub(crate) fn restart_broker(&mut self) {
        end(&mut self.broker);
        self.broker = broker(&self.directory, self.number, &self.brokers_end, &self.listener);
    }

    pub(crate) fn logs(&self) -> String {
        let read = |name: &str| {
            let file = self.directory.join(format!("{}.{name}.log", self.number));
            fs::read_to_string(file).unwrap_or_default()
        };
        read("keeper") + &read("broker")
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        end(&mut self.broker);
        end(&mut self.keeper);
    }
}

impl Door {
    pub(crate) fn get(&self) -> u16 {
        self.try_get().expect("an answer")
    }

    /// `None` when the broker died over it.
    pub(crate) fn try_get(&self) -> Option<u16> {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let token = &self.token;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.get(9..12)?.parse().ok()
    }
}

fn keeper(directory: &Path, number: usize, line: &OwnedFd) -> Child {
    let slice = KeeperSlice {
        db_path: directory.join("credentials.db"),
        sealed_passphrase: directory.join("absent"),
        use_keyring: false,
        passphrase_command: Some("echo p".into()),
        session_directories: vec![],
        refresh_locks: directory.join("locks"),
        limits: TokenLimits::default(),
    };
    let program = Path::new(env!("CARGO_BIN_EXE_terok-vault-keeper"));
    start(program, "keeper", directory, number, vec![(line, LINE_FD)], slice)
}

fn broker(directory: &Path, number: usize, line: &OwnedFd, listener: &UnixListener) -> Child {
    let slice = BrokerSlice { routes_path: directory.join("routes.json") };
    let keeper = Path::new(env!("CARGO_BIN_EXE_terok-vault-keeper"));
    let listener = listener.try_clone().unwrap().into();
    let descriptors = vec![(line, LINE_FD), (&listener, LISTENER_FD)];
    let program = keeper.with_file_name("terok-token-broker");
    start(&program, "broker", directory, number, descriptors, slice)
}

fn start<S: Serialize>(
    program: &Path,
    name: &str,
    directory: &Path,
    number: usize,
    descriptors: Vec<(&OwnedFd, i32)>,
    service: S,
) -> Child {
    let reserved = descriptors::reserve_up_to(FIRST_STRAY_FD).unwrap();
    let (mut ready, readied) = std::io::pipe().unwrap();
    let log = directory.join(format!("{number}.{name}.log"));
    let log: File = OpenOptions::new().create(true).append(true).open(log).unwrap();
    let mut mappings = vec![FdMapping { parent_fd: readied.into(), child_fd: READY_FD }];
    for (descriptor, child_fd) in descriptors {
        mappings.push(FdMapping { parent_fd: descriptor.try_clone().unwrap(), child_fd });
    }
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
    command.fd_mappings(mappings).unwrap();
    let mut child = command.spawn().unwrap_or_else(|why| panic!("{}: {why}", program.display()));
    drop(command);
    drop(reserved);
    let common = Common {
        parent_pid: i32::try_from(std::process::id()).unwrap(),
        allow_debugger: false,
        container_name: "web".into(),
        leave_after: None,
    };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&serde_json::to_vec(&Slice { common, service }).unwrap()).unwrap();
    drop(stdin);
    let mut said = Vec::new();
    ready.read_to_end(&mut said).unwrap();
    assert_eq!(said, b"R", "{name} {number} is not ready");
    child
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

//! A whole installation in a temporary directory: state root, runtime directory, vault, mirrors.
//!
//! When it goes, every process it started must have gone; what is left is ended by its pid, and
//! counts as a failure.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use terok_shared::layout::StateRoot;
use terok_shared::process::Process;

use crate::container::Container;
use crate::fixtures;
use crate::programs::Programs;
use crate::sidecar::Sidecar;
use crate::tree;

/// A user without rights, for what root could do anyway.
pub const NOBODY: u32 = 65534;
/// How long supervisors may take to notice that their containers are gone.
const LEAVING: Duration = Duration::from_secs(3);

pub struct House {
    directory: TempDir,
    programs: Programs,
    operator: Option<u32>,
    /// Pids of supervisors seen so far, which their children have as session.
    sessions: Mutex<Vec<i32>>,
}

impl Default for House {
    fn default() -> Self {
        Self::new()
    }
}

impl House {
    /// With the vault of an existing installation, and routes that lead nowhere.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("tk").tempdir().unwrap();
        let house = Self {
            directory,
            programs: Programs::built(),
            operator: None,
            sessions: Mutex::default(),
        };
        for part in ["state/sidecar", "run/terok/sandbox", "vault", "bundle", "state/gate"] {
            let path = house.path().join(part);
            DirBuilder::new().recursive(true).mode(0o700).create(path).unwrap();
        }
        house.put_vault("v4.db");
        let passphrase = fixtures::passphrase();
        fs::write(house.passphrase_file(), format!("{}\n", passphrase.expose())).unwrap();
        fs::write(house.stray_file(), "").unwrap();
        house.write_routes(&json!({}));
        house
    }

    /// With programs of its own, which a test may take away or replace.
    pub fn with_own_programs() -> Self {
        let mut house = Self::new();
        let directory = house.path().join("libexec");
        fs::create_dir(&directory).unwrap();
        house.programs = Programs::installed_in(&directory);
        house
    }

    /// Owned and run by a user without rights. Needs root.
    pub fn of_nobody() -> Self {
        let mut house = Self::with_own_programs();
        give_away(house.path(), NOBODY);
        house.operator = Some(NOBODY);
        house
    }

    /// Run by a user without rights: ourselves, or as root somebody else.
    pub fn unprivileged() -> Self {
        if nix::unistd::geteuid().is_root() { Self::of_nobody() } else { Self::new() }
    }

    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// The uid everything runs under, when it is not ours.
    pub fn operator(&self) -> Option<u32> {
        self.operator
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn state_root(&self) -> StateRoot {
        StateRoot::new(self.path().join("state"))
    }

    pub fn runtime_dir(&self) -> PathBuf {
        self.path().join("run/terok/sandbox")
    }

    /// A file that the runtime forgot to close before it called a hook.
    pub fn stray_file(&self) -> PathBuf {
        self.path().join("stray")
    }

    /// The runtime's working directory.
    pub fn bundle(&self) -> PathBuf {
        self.path().join("bundle")
    }

    pub fn mirrors(&self) -> PathBuf {
        self.state_root().mirrors()
    }

    pub fn db_path(&self) -> PathBuf {
        self.path().join("vault/credentials.db")
    }

    pub fn routes_path(&self) -> PathBuf {
        self.path().join("vault/routes.json")
    }

    pub fn passphrase_file(&self) -> PathBuf {
        self.path().join("vault/passphrase")
    }

    /// Puts a database of `fixtures/vault` in place.
    pub fn put_vault(&self, fixture: &str) {
        fs::copy(fixtures::path("vault").join(fixture), self.db_path()).unwrap();
        fs::set_permissions(self.db_path(), fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn write_routes(&self, routes: &Value) {
        fs::write(self.routes_path(), routes.to_string()).unwrap();
    }

    /// What `vault unlock` leaves: the passphrase in the session file of this database.
    pub fn unlock(&self) {
        let directory = self.path().join("run/terok/vault-session");
        DirBuilder::new().recursive(true).mode(0o700).create(&directory).unwrap();
        let file = directory.join(session_file_name(&self.db_path()));
        fs::write(&file, fixtures::passphrase().expose()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Socket mode, all defaults, no gate.
    pub fn sidecar(&self, name: &str) -> Sidecar {
        Sidecar::of(self, name)
    }

    /// A container's init process, with its sidecar written; no hook has run.
    pub fn container(&self, sidecar: &Sidecar) -> Container<'_> {
        Container::new(self, sidecar)
    }

    /// All lines of the hook's diary.
    pub fn diary(&self) -> String {
        fs::read_to_string(self.state_root().diary()).unwrap_or_default()
    }

    /// All lines of the audit file.
    pub fn audit(&self) -> Vec<Value> {
        let path = self.path().join("vault/credential_audit.jsonl");
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Gives a file the test made to whoever runs the programs.
    pub(crate) fn hand_over(&self, path: &Path) {
        if let Some(uid) = self.operator {
            chown(path, Some(uid), Some(uid)).unwrap();
        }
    }

    pub(crate) fn remember_session(&self, leader: i32) {
        self.sessions().push(leader);
    }

    fn sessions(&self) -> MutexGuard<'_, Vec<i32>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Our processes that still run: supervisors by their arguments, children by their session.
    pub fn processes(&self) -> Vec<Process> {
        let sessions = self.sessions();
        let of_ours = |process: &Process| {
            let arguments = process.arguments().unwrap_or_default();
            let program = arguments.first().cloned().unwrap_or_default();
            let ours = tree::starts_with(&program, self.programs.directory());
            let named = || arguments.iter().any(|word| tree::starts_with(word, self.path()));
            let in_session = || tree::session(*process).is_some_and(|sid| sessions.contains(&sid));
            ours && process.is_alive() && (named() || in_session())
        };
        tree::all_processes().into_iter().filter(of_ours).collect()
    }
}

/// The name of the session file of a database: host and path in a digest.
pub fn session_file_name(db_path: &Path) -> String {
    let host = nix::unistd::gethostname().unwrap();
    let digest = Sha256::new()
        .chain_update(host.as_encoded_bytes())
        .chain_update([0])
        .chain_update(db_path.as_os_str().as_encoded_bytes())
        .finalize();
    hex::encode(&digest[..16])
}

impl Drop for House {
    fn drop(&mut self) {
        let deadline = Instant::now() + LEAVING;
        while !self.processes().is_empty() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = self.processes();
        for process in &left {
            // One that ends in this moment is fine.
            let _ = process.kill();
        }
        assert!(left.is_empty() || std::thread::panicking(), "left behind: {left:?}");
    }
}

fn give_away(path: &Path, uid: u32) {
    if fs::symlink_metadata(path).unwrap().is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give_away(&entry.unwrap().path(), uid));
    } else if fs::symlink_metadata(path).unwrap().nlink() > 1 {
        // A program that is also linked elsewhere: everybody may read it already.
        return;
    }
    chown(path, Some(uid), Some(uid)).unwrap();
}

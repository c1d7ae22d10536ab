//! Where files are: everything below a state root and a runtime directory has its name here.

use std::path::{Path, PathBuf};

use crate::container::{ContainerId, ContainerName};

/// Files below one state root (`<root>/sidecar/<name>.json` is how the hook finds it).
#[derive(Clone, Debug)]
pub struct StateRoot(PathBuf);

impl StateRoot {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self(root.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn sidecars(&self) -> PathBuf {
        self.0.join("sidecar")
    }

    pub fn sidecar(&self, name: &ContainerName) -> PathBuf {
        self.sidecars().join(format!("{name}.json"))
    }

    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    pub fn diary(&self) -> PathBuf {
        self.logs().join("hook.log")
    }

    pub fn container_log(&self, id: &ContainerId) -> PathBuf {
        self.logs().join(format!("{id}.log"))
    }

    /// The log of this container, its older part, and what a supervisor was setting aside when it
    /// was killed.
    pub fn container_logs(&self, id: &ContainerId) -> [PathBuf; 3] {
        let log = self.container_log(id);
        let older = set_aside(&log);
        [draft(&older), older, log]
    }

    /// The container whose log this is, by the file's name; `None` for the diary and for what was
    /// set aside.
    pub fn container_of_log(path: &Path) -> Option<ContainerId> {
        let name = path.file_name()?.to_str()?.strip_suffix(".log")?;
        (name != "hook").then(|| ContainerId::parse(name).ok())?
    }

    pub fn pids(&self) -> PathBuf {
        self.0.join("pids")
    }

    pub fn pid_file(&self, id: &ContainerId) -> PathBuf {
        self.pids().join(format!("supervisor-{id}.pid"))
    }

    pub fn status_file(&self, id: &ContainerId) -> PathBuf {
        self.pids().join(format!("supervisor-{id}.status"))
    }

    /// All that a supervisor of this container keeps among the pids, and what it was writing there
    /// when it was killed.
    pub fn records(&self, id: &ContainerId) -> [PathBuf; 4] {
        let (pid_file, status_file) = (self.pid_file(id), self.status_file(id));
        [draft(&pid_file), draft(&status_file), pid_file, status_file]
    }

    /// The container whose record this is, by the file's name.
    pub fn container_of_record(path: &Path) -> Option<ContainerId> {
        let name = path.file_name()?.to_str()?.strip_prefix("supervisor-")?;
        let name = name.strip_suffix(DRAFT).unwrap_or(name);
        let id = name.strip_suffix(".pid").or_else(|| name.strip_suffix(".status"))?;
        ContainerId::parse(id).ok()
    }

    pub fn mirrors(&self) -> PathBuf {
        self.0.join("gate")
    }

    /// Our own programs, when `terokctl setup` installed them for one user.
    pub fn programs(&self) -> PathBuf {
        self.0.join("libexec")
    }

    pub fn hook_descriptors(&self) -> PathBuf {
        self.0.join("hooks")
    }
}

/// Where a log's older part is: set aside when the log has grown too large, replacing the one
/// before it.
pub fn set_aside(log: &Path) -> PathBuf {
    let mut name = log.as_os_str().to_owned();
    name.push(".1");
    name.into()
}

const DRAFT: &str = ".new";

/// Where a file's next content is written, beside it.
pub fn draft(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(DRAFT);
    name.into()
}

/// The directory of all containers' sockets.
pub fn socket_directories(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("run")
}

/// The directory of one container's sockets, mounted into it at [`MOUNT_POINT`].
pub fn socket_directory(runtime_dir: &Path, name: &ContainerName) -> PathBuf {
    socket_directories(runtime_dir).join(name.as_str())
}

/// Where a container sees its socket directory.
pub const MOUNT_POINT: &str = "/run/terok";
pub const BROKER_SOCKET: &str = "vault/vault.sock";
pub const SIGNER_SOCKET: &str = "signer/ssh-agent.sock";
/// The extension's agent socket without a handshake, beside the contract's.
pub const AGENT_SOCKET: &str = "signer/agent.sock";
pub const GATE_SOCKET: &str = "gate/gate-server.sock";

/// Files beside the database.
pub fn routes_beside(db_path: &Path) -> PathBuf {
    db_path.with_file_name("routes.json")
}

pub fn sealed_passphrase_beside(db_path: &Path) -> PathBuf {
    db_path.with_file_name("vault.passphrase.cred")
}

pub fn audit_beside(db_path: &Path) -> PathBuf {
    db_path.with_file_name("credential_audit.jsonl")
}

/// Lock files that make one supervisor at a time renew a login, whatever program it is.
pub fn refresh_locks(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("terok/vault/locks")
}

/// Where session passphrases may lie: `$XDG_RUNTIME_DIR/terok/vault-session`, and the same
/// directory derived from the sidecar's runtime directory for processes without that variable.
pub fn session_directories(xdg_runtime_dir: Option<&Path>, runtime_dir: &Path) -> Vec<PathBuf> {
    let from_environment = xdg_runtime_dir.map(|dir| dir.join("terok/vault-session"));
    let beside_runtime_dir = runtime_dir.parent().map(|dir| dir.join("vault-session"));
    let mut found: Vec<PathBuf> = from_environment.into_iter().chain(beside_runtime_dir).collect();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_contract() {
        let root = StateRoot::new("/s");
        let id = ContainerId::parse("abc").unwrap();
        assert_eq!(root.pid_file(&id), Path::new("/s/pids/supervisor-abc.pid"));
        assert_eq!(root.container_log(&id), Path::new("/s/logs/abc.log"));
        assert_eq!(root.diary(), Path::new("/s/logs/hook.log"));
        assert_eq!(set_aside(&root.diary()), Path::new("/s/logs/hook.log.1"));
    }

    #[test]
    fn files_tell_whose_they_are() {
        let (root, id) = (StateRoot::new("/s"), ContainerId::parse("abc").unwrap());
        for record in root.records(&id) {
            assert_eq!(StateRoot::container_of_record(&record), Some(id.clone()));
        }
        let log = root.container_log(&id);
        assert_eq!(StateRoot::container_of_log(&log), Some(id));
        for other in [root.diary(), set_aside(&log), root.sidecars()] {
            assert_eq!(StateRoot::container_of_log(&other), None, "{other:?}");
        }
    }

    #[test]
    fn session_directories_are_named_once() {
        let both = session_directories(
            Some(Path::new("/run/user/7")),
            Path::new("/run/user/7/terok/sandbox"),
        );
        assert_eq!(both, [PathBuf::from("/run/user/7/terok/vault-session")]);
        let derived = session_directories(None, Path::new("/tmp/x/terok/sandbox"));
        assert_eq!(derived, [PathBuf::from("/tmp/x/terok/vault-session")]);
    }
}

//! Writing a sidecar, for whoever launches containers.
//!
//! In: a `Sidecar`, built with `new` and filled in. Out: JSON that the reader takes for the same
//! one and that readers before us find complete; and the file, written whole or not at all.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Activation, Ipc, Sidecar, SidecarError};
use crate::annotation::{PathError, SidecarPath};
use crate::container::ContainerName;
use crate::layout::{self, StateRoot};
use crate::placement::Placement;
use crate::secret::Secret;

#[derive(Debug)]
pub enum WriteError {
    /// A member that no reader would take.
    Sidecar(SidecarError),
    /// A state root below which no sidecar can be named.
    Root(PathError),
    NotText(PathBuf),
    Symlink(PathBuf),
    Io {
        doing: &'static str,
        path: PathBuf,
        why: io::Error,
    },
}

/// Members in the contract's order. What has its default and is unknown to older readers is left
/// out; what they look up is always there.
#[derive(Serialize)]
struct Text<'a> {
    container_name: &'a str,
    ipc_mode: &'static str,
    db_path: &'a Path,
    routes_path: &'a Path,
    vault_systemd_creds_file: &'a Path,
    credentials_use_keyring: bool,
    credentials_passphrase_command: Option<&'a str>,
    scope_id: &'a str,
    project_id: &'a str,
    task_id: &'a str,
    runtime_dir: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    tcp_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssh_signer_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate_base_path: Option<&'a Path>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate_policy: Option<&'a serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dossier_path: Option<&'a Path>,
    #[serde(skip_serializing_if = "is_false")]
    allow_debugger: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_subject: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    activation: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leave_after_s: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loopback: Option<Ports>,
    #[serde(skip_serializing_if = "is_false")]
    agent_socket: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ssh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    placement: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    static_markers: Option<bool>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    marker_tokens: BTreeMap<&'a str, &'a str>,
}

/// Of the container's own loopback.
#[derive(Serialize)]
struct Ports {
    #[serde(skip_serializing_if = "Option::is_none")]
    vault: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gate: Option<u16>,
}

impl Sidecar {
    /// A sidecar for sockets, with a default for everything but the three members that have none.
    /// The paths must be absolute; every other member is public.
    pub fn new(name: ContainerName, db_path: PathBuf, runtime_dir: PathBuf) -> Self {
        Self {
            container_name: name,
            ipc: Ipc::Socket,
            routes_path: layout::routes_beside(&db_path),
            sealed_passphrase: layout::sealed_passphrase_beside(&db_path),
            db_path,
            runtime_dir,
            use_keyring: false,
            passphrase_command: None,
            scope_id: String::new(),
            project_id: String::new(),
            task_id: String::new(),
            gate: None,
            dossier_path: None,
            allow_debugger: false,
            token_subject: None,
            required: false,
            activation: Activation::Eager,
            agent_token: None,
            loopback: None,
            placement: None,
            static_markers: true,
            marker_tokens: Vec::new(),
        }
    }

    /// The file's text, which the reader has accepted. It may hold the gate's token.
    ///
    /// # Errors
    /// What a supervisor would refuse later, told now; `file` is used in messages alone.
    pub fn to_json(&self, file: &Path) -> Result<Secret<Vec<u8>>, WriteError> {
        let ports = match self.ipc {
            Ipc::Socket => super::Ports::default(),
            Ipc::Tcp(ports) => ports,
        };
        let marker_tokens = self.marker_tokens.iter();
        let text = Text {
            container_name: self.container_name.as_str(),
            ipc_mode: match self.ipc {
                Ipc::Socket => "socket",
                Ipc::Tcp(_) => "tcp",
            },
            db_path: text(&self.db_path)?,
            routes_path: text(&self.routes_path)?,
            vault_systemd_creds_file: text(&self.sealed_passphrase)?,
            credentials_use_keyring: self.use_keyring,
            credentials_passphrase_command: exposed(self.passphrase_command.as_ref()),
            scope_id: &self.scope_id,
            project_id: &self.project_id,
            task_id: &self.task_id,
            runtime_dir: text(&self.runtime_dir)?,
            tcp_port: ports.broker,
            ssh_signer_port: ports.signer,
            gate_port: ports.gate,
            gate_base_path: self.gate.as_ref().map(|gate| text(&gate.base_path)).transpose()?,
            gate_token: self.gate.as_ref().map(|gate| gate.token.expose().as_str()),
            gate_policy: self.gate.as_ref().and_then(|gate| gate.policy.as_ref()),
            dossier_path: self.dossier_path.as_deref().map(text).transpose()?,
            allow_debugger: self.allow_debugger,
            token_subject: self.token_subject.as_deref(),
            required: self.required,
            activation: (self.activation != Activation::Eager).then_some("on-demand"),
            leave_after_s: match self.activation {
                Activation::Eager => None,
                Activation::OnDemand { leave_after } => Some(leave_after.as_secs()),
            },
            loopback: self.loopback.map(|ports| Ports { vault: ports.vault, gate: ports.gate }),
            agent_socket: self.agent_token.is_some(),
            ssh_token: exposed(self.agent_token.as_ref()),
            placement: self.placement.map(|placement| match placement {
                Placement::Auto => "auto",
                Placement::Daemon => "daemon",
                Placement::Unit => "unit",
            }),
            static_markers: (!self.static_markers).then_some(false),
            marker_tokens: marker_tokens
                .map(|(provider, token)| (provider.as_str(), token.expose().as_str()))
                .collect(),
        };
        let json = serde_json::to_vec_pretty(&text).expect("names are text, and so are the paths");
        let json = Secret::from(json);
        Self::parse(file, json.expose()).map_err(WriteError::Sidecar)?;
        Ok(json)
    }

    /// Writes `<root>/sidecar/<name>.json` (mode 0600, its directory 0700), in place of an older
    /// one; gives the path for the annotation.
    ///
    /// # Errors
    /// As `to_json`; a symbolic link that has the name; else what the kernel says.
    pub fn write(&self, root: &StateRoot) -> Result<SidecarPath, WriteError> {
        let path = root.sidecar(&self.container_name);
        let named = SidecarPath::parse(&path.to_string_lossy()).map_err(WriteError::Root)?;
        let json = self.to_json(&path)?;
        let directory = root.sidecars();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(failed("make", &directory))?;
        if path.is_symlink() {
            return Err(WriteError::Symlink(path));
        }
        let draft = directory.join(format!(".{}.{}", self.container_name, std::process::id()));
        let written = write_new(&draft, json.expose())
            .and_then(|()| fs::rename(&draft, &path))
            .map_err(failed("write", &path));
        if written.is_err() {
            let _ = fs::remove_file(&draft); // the failure that is reported came first
        }
        written.map(|()| named)
    }
}

fn write_new(path: &Path, json: &[u8]) -> io::Result<()> {
    let _ = fs::remove_file(path); // of a launcher that was killed; create_new refuses anything else
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(json)?;
    file.sync_all()
}

fn exposed(secret: Option<&Secret<String>>) -> Option<&str> {
    secret.map(|secret| secret.expose().as_str())
}

fn is_false(value: &bool) -> bool {
    !value
}

/// JSON has no other paths.
fn text(path: &Path) -> Result<&Path, WriteError> {
    path.to_str().map(|_| path).ok_or_else(|| WriteError::NotText(path.to_owned()))
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> WriteError + 'a {
    move |why| WriteError::Io { doing, path: path.to_owned(), why }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sidecar(why) => why.fmt(f),
            Self::Root(why) => why.fmt(f),
            Self::NotText(path) => write!(f, "write a sidecar: {} is not UTF-8", path.display()),
            Self::Symlink(path) => {
                write!(f, "write sidecar {}: a symbolic link has the name", path.display())
            }
            Self::Io { doing, path, why } => {
                write!(f, "{doing} sidecar {}: {why}", path.display())
            }
        }
    }
}

impl std::error::Error for WriteError {}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::time::Duration;

    use super::super::{Gate, Loopback};
    use super::*;

    fn plain(name: &str) -> Sidecar {
        let name = ContainerName::parse(name).unwrap();
        Sidecar::new(name, "/v/credentials.db".into(), "/run/user/7/terok/sandbox".into())
    }

    fn full() -> Sidecar {
        let mut sidecar = plain("web");
        let ports = super::super::Ports { broker: Some(1), signer: Some(2), gate: Some(3) };
        sidecar.ipc = Ipc::Tcp(ports);
        sidecar.routes_path = "/r/routes.json".into();
        sidecar.sealed_passphrase = "/r/cred".into();
        sidecar.use_keyring = true;
        sidecar.passphrase_command = Some("pass show x".to_owned().into());
        sidecar.scope_id = "s".into();
        sidecar.project_id = "p".into();
        sidecar.task_id = "t".into();
        sidecar.gate = Some(Gate {
            base_path: "/m".into(),
            token: "terok-g-1".to_owned().into(),
            policy: Some(serde_json::json!({ "branches": ["main"] })),
        });
        sidecar.dossier_path = Some("/d".into());
        sidecar.allow_debugger = true;
        sidecar.token_subject = Some("web".into());
        sidecar.required = true;
        sidecar.activation = Activation::OnDemand { leave_after: Duration::from_secs(7) };
        sidecar.agent_token = Some("terok-p-1".to_owned().into());
        sidecar.loopback = Some(Loopback { vault: Some(9419), gate: None });
        sidecar.placement = Some(Placement::Daemon);
        sidecar.static_markers = false;
        sidecar.marker_tokens = vec![("anthropic".into(), "terok-p-2".to_owned().into())];
        sidecar
    }

    #[test]
    fn what_is_written_is_read_as_the_same_sidecar() {
        let file = Path::new("/s/sidecar/web.json");
        for sidecar in [plain("web"), full()] {
            let once = sidecar.to_json(file).unwrap();
            let read = Sidecar::parse(file, once.expose()).unwrap();
            let again = read.to_json(file).unwrap();
            assert_eq!(
                String::from_utf8_lossy(once.expose()),
                String::from_utf8_lossy(again.expose())
            );
        }
    }

    #[test]
    fn the_file_is_private_and_one_that_was_there_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let root = StateRoot::new(directory.path().join("state"));
        let path = plain("web").write(&root).unwrap();
        full().write(&root).unwrap();
        let facts = fs::metadata(path.as_path()).unwrap();
        assert_eq!(facts.mode() & 0o7777, 0o600);
        assert_eq!(fs::metadata(root.sidecars()).unwrap().mode() & 0o7777, 0o700);
        let (_, json) = super::super::read(&path).unwrap();
        assert!(Sidecar::parse(path.as_path(), &json).unwrap().required);
        assert_eq!(fs::read_dir(root.sidecars()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_symbolic_link_is_refused_and_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let root = StateRoot::new(directory.path());
        fs::create_dir(root.sidecars()).unwrap();
        let target = directory.path().join("theirs");
        fs::write(&target, "theirs").unwrap();
        symlink(&target, root.sidecars().join("web.json")).unwrap();
        assert!(matches!(plain("web").write(&root), Err(WriteError::Symlink(_))));
        assert_eq!(fs::read_to_string(target).unwrap(), "theirs");
    }

    #[test]
    fn what_no_reader_would_take_is_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let root = StateRoot::new(directory.path());
        let mut sidecar = plain("web");
        sidecar.db_path = "relative".into();
        let error = sidecar.write(&root).unwrap_err().to_string();
        assert!(error.contains("db_path"), "{error}");
        assert!(!root.sidecars().exists());
    }
}

//! `terokctl cleanup`: the way back from `prepare` and `run`, whoever prepared it.
//!
//! Tokens first, because a revoked one is worthless wherever it got to; the sidecar last, because
//! it says where everything is: a cleanup that fails can be repeated.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;
use terok_shared::annotation::SidecarPath;
use terok_shared::container::ContainerName;
use terok_shared::layout;
use terok_shared::sidecar::{self, OpenError, Sidecar, SidecarError};
use vault_store::Vault;
use vault_store::database::DatabaseError;
use vault_store::unlock::Sources;

use super::{client_files, living};
use crate::Failure;
use crate::cli::CleanupArgs;
use crate::directories::Directories;
use crate::egress::{self, Forgotten};
use crate::output::{count, remark, tell};
use crate::private_file;
use crate::vault::{open_with, sources};

#[derive(Debug)]
enum CleanupError {
    /// A directory that no sidecar can be in.
    Path(terok_shared::annotation::PathError),
    Open(OpenError),
    Sidecar(SidecarError),
    Lives {
        name: ContainerName,
        pid: i32,
    },
    Io {
        doing: &'static str,
        path: PathBuf,
        why: io::Error,
    },
}

/// What there is to take back.
struct Launch {
    /// Where its tokens are.
    vault: Sources,
    /// `None` when the sidecar does not tell: then any.
    scope: Option<String>,
    subject: String,
    socket_directory: PathBuf,
}

/// What was there.
#[derive(Clone, Copy, Default)]
pub(super) struct Outcome {
    /// How many tokens.
    revoked: usize,
    /// How many credentials that it had borrowed.
    removed: usize,
}

pub(crate) fn run(directories: &Directories, args: &CleanupArgs) -> Result<(), Failure> {
    let outcome = take_back(directories, args)?;
    let told = match outcome {
        Some(Outcome { revoked, removed: 0 }) => {
            format!("cleaned up {}: {} revoked", args.name, count(revoked, "token"))
        }
        Some(Outcome { revoked, removed }) => format!(
            "cleaned up {}: {} revoked, {} removed",
            args.name,
            count(revoked, "token"),
            count(removed, "borrowed credential")
        ),
        None => format!("nothing to clean up for {}", args.name),
    };
    let found = outcome.is_some();
    let Outcome { revoked, removed } = outcome.unwrap_or_default();
    let facts = json!({
        "name": args.name.as_str(), "found": found, "revoked": revoked, "removed": removed,
    });
    Ok(tell(args.json, &told, &facts)?)
}

/// Takes a launch back; `None` when there was none.
///
/// # Errors
/// A supervisor that lives, an unreadable sidecar (both unless forced), a vault that cannot be
/// opened: nothing was removed then.
pub(super) fn take_back(
    directories: &Directories,
    args: &CleanupArgs,
) -> Result<Option<Outcome>, Failure> {
    let path = directories.state.sidecar(&args.name);
    if path.symlink_metadata().is_err_and(|why| why.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    let launch = match read(directories, &path, args) {
        Ok(launch) => launch,
        Err(why) if args.force => {
            remark(&format!("note: {why}"));
            Launch::guessed(directories, args)
        }
        Err(why) => return Err(why.into()),
    };
    if !args.force
        && let Some(process) =
            living::supervisor(&path).map_err(failed("read", Path::new("/proc")))?
    {
        return Err(CleanupError::Lives { name: args.name.clone(), pid: process.pid() }.into());
    }
    let outcome = revoke(&launch, args)?;
    let environment = path.with_file_name(format!("{}.env", args.name));
    for file in [environment].into_iter().chain(client_files::places(&path, &args.name)) {
        private_file::remove(&file).map_err(failed("remove", &file))?;
    }
    remove_directory(&launch.socket_directory)?;
    private_file::remove(&path).map_err(failed("remove", &path))?;
    Ok(Some(outcome))
}

fn read(
    directories: &Directories,
    path: &Path,
    args: &CleanupArgs,
) -> Result<Launch, CleanupError> {
    let text = path.to_string_lossy();
    let checked = SidecarPath::parse(&text).map_err(CleanupError::Path)?;
    let (_, json) = sidecar::read(&checked).map_err(CleanupError::Open)?;
    let sidecar = Sidecar::parse(path, &json).map_err(CleanupError::Sidecar)?;
    Ok(Launch::of(directories, sidecar, args))
}

impl Launch {
    fn of(directories: &Directories, sidecar: Sidecar, args: &CleanupArgs) -> Self {
        // The operator's own words win over the sidecar's.
        let own = sources(directories, &args.unlock);
        Self {
            socket_directory: layout::socket_directory(&sidecar.runtime_dir, &args.name),
            scope: Some(sidecar.scope_id),
            subject: sidecar.token_subject.unwrap_or_else(|| args.name.to_string()),
            vault: Sources {
                session_directories: directories.session_passphrases_of(&sidecar.runtime_dir),
                db_path: sidecar.db_path,
                sealed_file: sidecar.sealed_passphrase,
                use_keyring: args.unlock.use_keyring.unwrap_or(sidecar.use_keyring),
                passphrase_command: own.passphrase_command.or(sidecar.passphrase_command),
            },
        }
    }

    /// For a sidecar that cannot be read: the usual places, and every token of the name.
    fn guessed(directories: &Directories, args: &CleanupArgs) -> Self {
        Self {
            vault: sources(directories, &args.unlock),
            scope: None,
            subject: args.name.to_string(),
            socket_directory: layout::socket_directory(&directories.runtime, &args.name),
        }
    }
}

/// Without a vault there are no tokens; a vault that is there must be opened.
fn revoke(launch: &Launch, args: &CleanupArgs) -> Result<Outcome, Failure> {
    let mut vault = match open_with(&launch.vault, &args.unlock) {
        Ok(vault) => vault,
        Err(why) if why.is_missing() => {
            remark(&format!("note: no vault {}", launch.vault.db_path.display()));
            return Ok(Outcome::default());
        }
        Err(why) => return Err(why.into()),
    };
    let scopes = match &launch.scope {
        Some(scope) => vec![scope.clone()],
        None => scopes_of(&vault, &launch.subject)?,
    };
    let mut revoked = 0;
    for scope in scopes {
        revoked += vault.revoke_subject(&scope, &launch.subject)?;
    }
    let Forgotten { tokens, credentials } = egress::forget(&mut vault, &args.name)?;
    Ok(Outcome { revoked: revoked + tokens, removed: credentials })
}

fn scopes_of(vault: &Vault, subject: &str) -> Result<Vec<String>, DatabaseError> {
    let tokens = vault.tokens()?;
    let mut scopes: Vec<String> = tokens
        .into_iter()
        .filter(|stored| stored.info.subject == subject)
        .map(|stored| stored.info.scope)
        .collect();
    scopes.dedup();
    Ok(scopes)
}

fn remove_directory(path: &Path) -> Result<(), CleanupError> {
    match fs::remove_dir_all(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed("remove", path)),
    }
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CleanupError {
    let path = path.to_owned();
    move |why| CleanupError::Io { doing, path, why }
}

impl fmt::Display for CleanupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FORCE: &str = "hint: `--force` cleans up what the name alone tells";
        match self {
            Self::Path(why) => write!(f, "{why}"),
            Self::Open(why) => write!(f, "{why}\n{FORCE}"),
            Self::Sidecar(why) => write!(f, "{why}\n{FORCE}"),
            Self::Lives { name, pid } => write!(
                f,
                "clean up {name}: its supervisor lives (pid {pid})\n\
                 hint: run `podman rm -f {name}` first, or add `--force`"
            ),
            Self::Io { doing, path, why } => write!(f, "{doing} {}: {why}", path.display()),
        }
    }
}

impl std::error::Error for CleanupError {}

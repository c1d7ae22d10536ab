//! git on its way to the upstream, with the vault's credential or key and nothing written down.

use std::fmt;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};
use terok_shared::secret::Secret;
use terok_shared::sys::descriptors;
use vault_store::Vault;
use vault_store::scope::ScopeName;

use super::credential_helper::{self, CREDENTIAL_FD};
use super::mirror::{Mirror, MirrorError};
use super::progress;
use super::ssh_agent::Agent;
use super::upstream::{Upstream, Url, provider_of, user_name};
use crate::Failure;
use crate::cli::UnlockArgs;
use crate::directories::Directories;
use crate::vault::open;

/// What opens the upstream.
#[derive(Debug)]
pub(super) enum Access {
    Open,
    /// The helper's whole answer, and the only origin it is for.
    Credential {
        origin: String,
        answer: Secret<Vec<u8>>,
    },
    Agent(Box<Agent>),
}

#[derive(Debug)]
pub(super) enum AccessError {
    NoCredential {
        provider: String,
        set: String,
    },
    Unusable {
        provider: String,
        set: String,
    },
    NoKeys {
        scope: String,
    },
    /// A credential would cross the network in the clear.
    PlainText {
        origin: String,
    },
    Pipe(io::Error),
    OwnProgram(io::Error),
}

impl Access {
    /// Takes out of the vault what the upstream asks for.
    ///
    /// # Errors
    /// It is not there, or the vault does not open.
    pub(super) fn to(
        upstream: &Upstream,
        mirror: &Mirror,
        directories: &Directories,
        unlock: &UnlockArgs,
    ) -> Result<Self, Failure> {
        match &upstream.url {
            Url::Open { .. } => Ok(Self::Open),
            Url::Ssh { .. } => {
                let scope = match &upstream.scope {
                    Some(scope) => scope.clone(),
                    None => mirror.project.as_str().to_owned(),
                };
                let scope = ScopeName::parse(&scope)?;
                let vault = open(directories, unlock)?;
                if vault.ssh_keys(scope.as_str())?.is_empty() {
                    return Err(AccessError::NoKeys { scope: scope.to_string() }.into());
                }
                Ok(Self::Agent(Box::new(Agent::start(directories, vault, &scope, unlock)?)))
            }
            Url::Web { origin, .. } => {
                let named = upstream.credential.as_deref();
                let Some(provider) = named.or_else(|| provider_of(origin)) else {
                    return Ok(Self::Open);
                };
                let vault = match open(directories, unlock) {
                    Err(why) if named.is_none() && why.is_missing() => return Ok(Self::Open),
                    other => other?,
                };
                credential(&vault, provider, named.is_some(), upstream, origin)
            }
        }
    }
}

fn credential(
    vault: &Vault,
    provider: &str,
    is_named: bool,
    upstream: &Upstream,
    origin: &str,
) -> Result<Access, Failure> {
    let names = || (provider.to_owned(), upstream.set.clone());
    let Some(stored) = vault.credential(&upstream.set, provider)? else {
        let (provider, set) = names();
        // A public upstream needs none.
        return match is_named {
            true => Err(AccessError::NoCredential { provider, set }.into()),
            false => Ok(Access::Open),
        };
    };
    let is_here = ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|start| {
        origin.strip_prefix(start).is_some_and(|r| r.is_empty() || r.starts_with(':'))
    });
    if !origin.starts_with("https://") && !is_here {
        return Err(AccessError::PlainText { origin: origin.to_owned() }.into());
    }
    let answer =
        stored.secret().and_then(|secret| credential_helper::answer(user_name(provider), &secret));
    match answer {
        Some(answer) => Ok(Access::Credential { origin: origin.to_owned(), answer }),
        None => {
            let (provider, set) = names();
            Err(AccessError::Unusable { provider, set }.into())
        }
    }
}

/// Runs a git command against the upstream; what it printed. Long work shows a bar.
pub(super) fn run(mirror: &Mirror, access: &Access, arguments: &[&str]) -> Result<String, Failure> {
    let what = arguments.first().copied().unwrap_or_default().to_owned();
    let (mut git, settled) = match access {
        Access::Open => (mirror.git_abroad(arguments), None),
        Access::Agent(agent) => {
            let mut git = mirror.git_abroad(arguments);
            git.env("GIT_SSH_COMMAND", agent.ssh_command()).env("GIT_SSH_VARIANT", "ssh");
            (git, None)
        }
        Access::Credential { origin, answer } => {
            let mut git = mirror.git_abroad(&[]);
            git.args(["-c", &helper(origin)?]).args(arguments);
            let low = hand_down(&mut git, answer).map_err(AccessError::Pipe)?;
            (git, Some(low))
        }
    };
    git.stdout(Stdio::piped()).stderr(Stdio::piped());
    let spawned = git.spawn();
    drop(settled);
    let mut child = spawned.map_err(|why| MirrorError::Run { what: what.clone(), why })?;
    let mut stderr = child.stderr.take().expect("it is a pipe");
    let watcher = std::thread::spawn(move || progress::watch(&mut stderr));
    let output =
        child.wait_with_output().map_err(|why| MirrorError::Run { what: what.clone(), why })?;
    let said = watcher.join().unwrap_or_default();
    if !output.status.success() {
        return Err(MirrorError::Git { what, said }.into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The setting that names our helper, for this origin alone.
fn helper(origin: &str) -> Result<String, Failure> {
    let program = std::env::current_exe().map_err(AccessError::OwnProgram)?;
    let quoted = |text: &str| shlex::try_quote(text).map(|text| text.into_owned());
    let program = quoted(&program.to_string_lossy())?;
    // With `!` git starts it through a shell, with the operation as a last argument.
    Ok(format!(
        "credential.{origin}.helper=!{program} gate credential-helper --for {}",
        quoted(origin)?
    ))
}

/// Puts the answer into a pipe that git and what it starts inherit. What is returned keeps the
/// number free until git has been started.
fn hand_down(git: &mut Command, answer: &Secret<Vec<u8>>) -> io::Result<Vec<std::fs::File>> {
    let low = descriptors::reserve_up_to(CREDENTIAL_FD)?;
    let (reader, mut writer) = io::pipe()?;
    writer.write_all(answer.expose())?;
    let mapping = FdMapping { parent_fd: reader.into(), child_fd: CREDENTIAL_FD };
    git.fd_mappings(vec![mapping]).map_err(io::Error::other)?;
    Ok(low)
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCredential { provider, set } => write!(
                f,
                "open the upstream: set {set} has no credential for {provider}\n\
                 hint: run `terokctl vault add {provider}`"
            ),
            Self::Unusable { provider, set } => write!(
                f,
                "open the upstream: the credential for {provider} in set {set} holds no token\n\
                 hint: store it anew with `terokctl vault add {provider}`"
            ),
            Self::NoKeys { scope } => write!(
                f,
                "open the upstream: scope {scope} has no key\n\
                 hint: run `terokctl ssh generate --scope {scope}` and add the key upstream"
            ),
            Self::PlainText { origin } => write!(
                f,
                "open the upstream: {origin} would get the credential in the clear\n\
                 hint: use https"
            ),
            Self::Pipe(why) => write!(f, "hand git the credential: {why}"),
            Self::OwnProgram(why) => write!(f, "find our own program: {why}"),
        }
    }
}

impl std::error::Error for AccessError {}

//! Everything a container needs before podman starts it: name taken, directory made, tokens
//! minted. All of it, or nothing.
//!
//! The sidecar is written first and exclusively. It takes the name, and from then on `cleanup`
//! finds everything, also when this process is killed half way.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::PathBuf;

use serde_json::json;
use terok_shared::container::ContainerName;
use terok_shared::secret::Secret;
use terok_shared::token::mint_gate;
use vault_store::Vault;
use vault_store::credential::Kind;
use vault_store::scope::ScopeName;
use vault_store::token::TokenInfo;

use super::environment::{self, Granted, GrantedProvider, Variables};
use super::made::{Made, Thing};
use super::plan::Plan;
use super::podman_flags::{self, Machine};
use super::ports::Ports;
use super::{mirror, sidecar};
use crate::Failure;
use crate::cli::{Mode, PrepareArgs, UnlockArgs};
use crate::credential_name::{ProviderName, SSH, SetName};
use crate::directories::Directories;
use crate::output::{print, print_json};
use crate::private_file::{self, Directory};
use crate::vault::{open, read_routes};

#[derive(Debug)]
enum PrepareError {
    NameInUse {
        name: ContainerName,
    },
    NoCredential {
        provider: ProviderName,
        set: SetName,
    },
    Unusable {
        provider: ProviderName,
        set: SetName,
    },
    NoRoute {
        provider: ProviderName,
    },
    NoKeys {
        scope: ScopeName,
    },
    Ports(io::Error),
    Io {
        doing: &'static str,
        path: PathBuf,
        why: io::Error,
    },
    /// Cleaning up after `why` went wrong too.
    NotTakenBack {
        why: Failure,
        left: Vec<String>,
    },
}

/// A launch that is ready for podman.
pub(super) struct Ready {
    /// Without those for the variables.
    pub(super) flags: Vec<String>,
    pub(super) variables: Variables,
    made: Made,
    vault: Option<Vault>,
}

/// `terokctl prepare`: prints the flags.
pub(crate) fn run(directories: &Directories, args: &PrepareArgs) -> Result<(), Failure> {
    let plan = Plan::new(directories, &args.launch)?;
    let mut ready = make_ready(directories, &plan, &args.launch.unlock)?;
    let told = write_environment(&plan, &mut ready).and_then(|()| tell(&plan, &ready, args.json));
    told.map_err(|why| give_up(ready.made, ready.vault, why))
}

/// Makes everything but the file of variables.
///
/// # Errors
/// Says what is missing and how to get it; then nothing is left of the launch.
pub(super) fn make_ready(
    directories: &Directories,
    plan: &Plan,
    unlock: &UnlockArgs,
) -> Result<Ready, Failure> {
    if plan.sidecar.as_path().symlink_metadata().is_ok() {
        return Err(PrepareError::NameInUse { name: plan.name.clone() }.into());
    }
    let mut vault = plan.needs_vault().then(|| open(directories, unlock)).transpose()?;
    let kinds = check(plan, vault.as_ref())?;
    let mut made = Made::default();
    match make(plan, kinds, vault.as_mut(), &mut made) {
        Ok(variables) => {
            let flags = podman_flags::flags(plan, Machine::look());
            Ok(Ready { flags, variables, made, vault })
        }
        Err(why) => Err(give_up(made, vault, why)),
    }
}

/// Whether everything that is asked for is there; for each provider the kind of its credential.
fn check(plan: &Plan, vault: Option<&Vault>) -> Result<Vec<(ProviderName, Kind)>, Failure> {
    let Some(vault) = vault else { return Ok(vec![]) };
    let routes = read_routes(&plan.routes)?;
    let mut kinds = Vec::new();
    for provider in &plan.providers {
        let stored = vault.credential(plan.set.as_str(), provider.as_str())?;
        let (provider, set) = (provider.clone(), plan.set.clone());
        let Some(credential) = stored else {
            return Err(PrepareError::NoCredential { provider, set }.into());
        };
        if credential.secret().is_none() {
            return Err(PrepareError::Unusable { provider, set }.into());
        }
        if !routes.contains_key(provider.as_str()) {
            return Err(PrepareError::NoRoute { provider }.into());
        }
        kinds.push((provider, credential.kind()));
    }
    if plan.ssh && vault.ssh_keys(plan.scope.as_str())?.is_empty() {
        return Err(PrepareError::NoKeys { scope: plan.scope.clone() }.into());
    }
    Ok(kinds)
}

/// The steps, each noted when it has made something.
fn make(
    plan: &Plan,
    kinds: Vec<(ProviderName, Kind)>,
    vault: Option<&mut Vault>,
    made: &mut Made,
) -> Result<Variables, Failure> {
    let ports = match plan.mode {
        Mode::Socket => None,
        Mode::Tcp => Some(Ports::allocate().map_err(PrepareError::Ports)?),
    };
    let gate = plan.gate.as_ref().map(|_| mint_gate()).transpose()?;
    take_name(plan, &sidecar::text(plan, ports, gate.as_ref())?)?;
    made.note(Thing::File(plan.sidecar.as_path().to_owned()));

    if let Some(wanted) = &plan.gate
        && mirror::ensure(wanted)?
    {
        made.note(Thing::Directory(wanted.mirror.clone()));
    }
    make_socket_directory(plan, made)?;

    let mut granted = Granted { ports, providers: vec![], ssh: None, gate };
    if let Some(vault) = vault {
        for (name, kind) in kinds {
            let token = mint(plan, name.as_str(), vault, made)?;
            granted.providers.push(GrantedProvider { name, kind, token });
        }
        if plan.ssh {
            granted.ssh = Some(mint(plan, SSH, vault, made)?);
        }
    }
    Ok(environment::variables(&granted)?)
}

fn take_name(plan: &Plan, text: &Secret<Vec<u8>>) -> Result<(), PrepareError> {
    let path = plan.sidecar.as_path();
    let directory = path.parent().expect("a sidecar is in a directory");
    private_file::make_directory(directory).map_err(io_error("make", directory))?;
    private_file::create(path, text.expose()).map_err(|why| match why.kind() {
        io::ErrorKind::AlreadyExists => PrepareError::NameInUse { name: plan.name.clone() },
        _ => io_error("write", path)(why),
    })
}

/// In both modes: it is where a supervisor keeps what is the container's alone.
fn make_socket_directory(plan: &Plan, made: &mut Made) -> Result<(), PrepareError> {
    let path = &plan.socket_directory;
    let all = path.parent().expect("a socket directory is in the directory of all");
    private_file::make_directory(all).map_err(io_error("make", all))?;
    if private_file::make_directory(path).map_err(io_error("make", path))? == Directory::Made {
        made.note(Thing::Directory(path.clone()));
    }
    Ok(())
}

fn mint(
    plan: &Plan,
    provider: &str,
    vault: &mut Vault,
    made: &mut Made,
) -> Result<Secret<String>, Failure> {
    let token = vault.mint_token(&TokenInfo {
        scope: plan.scope.to_string(),
        subject: plan.name.to_string(),
        credential_set: plan.set.to_string(),
        provider: provider.to_owned(),
    })?;
    made.note(Thing::Token(token.expose().clone().into()));
    Ok(token)
}

/// `NAME=value` lines as `podman run --env-file` reads them.
fn write_environment(plan: &Plan, ready: &mut Ready) -> Result<(), Failure> {
    let path = &plan.environment_file;
    let mut text = Secret::from(String::new());
    for (name, value) in &ready.variables {
        text = format!("{}{name}={}\n", text.expose(), value.expose()).into();
    }
    private_file::replace(path, text.expose().as_bytes()).map_err(io_error("write", path))?;
    ready.made.note(Thing::File(path.clone()));
    ready.flags.push(format!("--env-file={}", path.display()));
    Ok(())
}

fn tell(plan: &Plan, ready: &Ready, as_json: bool) -> Result<(), Failure> {
    if as_json {
        let variables: BTreeMap<&str, &str> = ready
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose().as_str()))
            .collect();
        print_json(&json!({
            "container": plan.name.as_str(),
            "sidecar": plan.sidecar.as_path(),
            "runtime_dir": plan.socket_directory,
            "env_file": plan.environment_file,
            "podman_flags": ready.flags,
            "env": variables,
        }))?;
        return Ok(());
    }
    let lines: Vec<String> = ready.flags.iter().map(|flag| quoted(flag)).collect();
    print(&lines.join("\n"))?;
    Ok(())
}

/// For a shell, and bare where no shell minds: `$(terokctl prepare …)` splits words and keeps
/// quotes.
fn quoted(flag: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if flag.bytes().all(bare) {
        return flag.to_owned();
    }
    shlex::try_quote(flag).expect("paths hold no NUL").into_owned()
}

fn give_up(made: Made, mut vault: Option<Vault>, why: Failure) -> Failure {
    let left = made.take_back(vault.as_mut());
    if left.is_empty() { why } else { PrepareError::NotTakenBack { why, left }.into() }
}

fn io_error(doing: &'static str, path: &std::path::Path) -> impl Fn(io::Error) -> PrepareError {
    let path = path.to_owned();
    move |why| PrepareError::Io { doing, path: path.clone(), why }
}

impl fmt::Display for PrepareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let option = |set: &SetName| match set.as_str() {
            "default" => String::new(),
            other => format!(" --set {other}"),
        };
        match self {
            Self::NameInUse { name } => write!(
                f,
                "prepare {name}: the name is in use\n\
                 hint: run `terokctl cleanup {name}` when its container is gone"
            ),
            Self::NoCredential { provider, set } => write!(
                f,
                "give the use of {provider}: set {set} has no credential for it\n\
                 hint: run `terokctl vault add {provider}{}`",
                option(set)
            ),
            Self::Unusable { provider, set } => write!(
                f,
                "give the use of {provider}: its credential in set {set} has no value\n\
                 hint: run `terokctl vault add {provider}{}` to replace it",
                option(set)
            ),
            Self::NoRoute { provider } => write!(
                f,
                "give the use of {provider}: there is no route to it\n\
                 hint: run `terokctl vault add {provider} --upstream URL`"
            ),
            Self::NoKeys { scope } => write!(
                f,
                "give the use of ssh keys: scope {scope} has none\n\
                 hint: run `terokctl ssh generate --scope {scope}`"
            ),
            Self::Ports(why) => write!(f, "find free ports of 127.0.0.1: {why}"),
            Self::Io { doing, path, why } => write!(f, "{doing} {}: {why}", path.display()),
            Self::NotTakenBack { why, left } => {
                write!(f, "{why}\nand not everything could be taken back: {}", left.join("; "))
            }
        }
    }
}

impl std::error::Error for PrepareError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_that_a_shell_would_change_are_quoted() {
        assert_eq!(
            quoted("--volume=/a-b/c_d.e:/run/terok:ro"),
            "--volume=/a-b/c_d.e:/run/terok:ro"
        );
        assert_eq!(quoted("--volume=/a b"), "'--volume=/a b'");
        assert_eq!(shlex::split(&quoted("a'$x\"")).unwrap(), ["a'$x\""]);
    }
}

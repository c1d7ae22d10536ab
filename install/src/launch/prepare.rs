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
use vault_store::Vault;
use vault_store::token::StoredToken;

use super::environment::{self, Variables};
use super::made::{Made, Thing};
use super::plan::{Plan, Ssh};
use super::podman_flags::{self, Machine, Wiring};
use super::ports::Ports;
use super::wanted::{self, Wanted};
use super::{client_files, mint, mirror, sidecar};
use crate::Failure;
use crate::cli::{Mode, PrepareArgs, UnlockArgs};
use crate::directories::Directories;
use crate::egress::{self, Borrowed};
use crate::output::{print, print_json};
use crate::private_file::{self, Directory};
use crate::vault::{VaultError, open, update_route};

#[derive(Debug)]
enum PrepareError {
    NameInUse {
        name: ContainerName,
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
    let borrowed = egress::borrow(&plan.tokens, &plan.programs)?;
    let mut vault = open_for(plan, directories, unlock)?;
    let wanted = wanted::check(plan, vault.as_ref(), &borrowed)?;
    let mut made = Made::default();
    match make(plan, wanted, borrowed, vault.as_mut(), &mut made) {
        Ok((flags, variables)) => Ok(Ready { flags, variables, made, vault }),
        Err(why) => Err(give_up(made, vault, why)),
    }
}

/// Keys that a launch takes if there are any do not need a vault to be there.
fn open_for(
    plan: &Plan,
    directories: &Directories,
    unlock: &UnlockArgs,
) -> Result<Option<Vault>, VaultError> {
    if plan.needs_vault() {
        return open(directories, unlock).map(Some);
    }
    if plan.ssh == Ssh::No {
        return Ok(None);
    }
    match open(directories, unlock) {
        Err(why) if why.is_missing() => Ok(None),
        other => other.map(Some),
    }
}

/// The steps, each noted when it has made something. The vault comes last: a launch that is
/// interrupted before has minted nothing that opens anything.
fn make(
    plan: &Plan,
    wanted: Wanted,
    borrowed: Vec<Borrowed>,
    vault: Option<&mut Vault>,
    made: &mut Made,
) -> Result<(Vec<String>, Variables), Failure> {
    let machine = Machine::look();
    let ports = match plan.mode {
        Mode::Socket => None,
        Mode::Tcp => Some(Ports::allocate().map_err(PrepareError::Ports)?),
    };
    let (mut granted, tokens) = mint::all(plan, wanted, ports)?;
    granted.plain_agent = granted.ssh.is_some() && machine.has_plain_agent(plan);
    let variables = environment::variables(&granted)?;
    take_name(plan, &sidecar::text(plan, &granted)?)?;
    made.note(Thing::File(plan.sidecar.as_path().to_owned()));

    if let Some(wanted) = &plan.gate
        && mirror::ensure(wanted)?
    {
        made.note(Thing::Directory(wanted.mirror.clone()));
    }
    make_socket_directory(plan, made)?;
    let files = client_files::write(plan, &granted, made)?;
    if let Some(vault) = vault {
        store(plan, borrowed, tokens, vault, made)?;
    }
    let wiring = Wiring { plain_agent: granted.plain_agent, files };
    Ok((podman_flags::flags(plan, &wiring, machine), variables))
}

/// What is borrowed goes into the vault, its routes into the table, and then the tokens open it.
fn store(
    plan: &Plan,
    borrowed: Vec<Borrowed>,
    tokens: Vec<StoredToken>,
    vault: &mut Vault,
    made: &mut Made,
) -> Result<(), Failure> {
    let set = egress::set_of(&plan.name);
    let mut credentials = Vec::with_capacity(borrowed.len());
    for Borrowed { provider, credential, route } in borrowed {
        update_route(&plan.routes, &provider, &route)?;
        credentials.push((provider.to_string(), credential));
    }
    vault.put_credentials(&set, &credentials)?;
    for (provider, _) in credentials {
        made.note(Thing::Credential { set: set.clone(), provider });
    }
    vault.put_tokens(&tokens)?;
    for StoredToken { token, .. } in tokens {
        made.note(Thing::Token(token));
    }
    Ok(())
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
        match self {
            Self::NameInUse { name } => write!(
                f,
                "prepare {name}: the name is in use\n\
                 hint: run `terokctl cleanup {name}` when its container is gone"
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

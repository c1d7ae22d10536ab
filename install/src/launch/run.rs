//! `terokctl run`: prepares, then becomes podman. Standard input, terminal, signals and exit
//! status are podman's from there on.

use std::env;
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use super::cleanup;
use super::plan::Plan;
use super::prepare::{Ready, make_ready};
use crate::Failure;
use crate::cli::{CleanupArgs, RunArgs};
use crate::directories::Directories;

#[derive(Debug)]
enum RunError {
    NoPodman,
    Start {
        podman: PathBuf,
        why: io::Error,
    },
    /// podman could not be started, and what was prepared for it is still there.
    StartAndCleanup {
        start: Box<RunError>,
        cleanup: Failure,
    },
}

pub(crate) fn run(directories: &Directories, args: &RunArgs) -> Result<(), Failure> {
    let podman = find_podman().ok_or(RunError::NoPodman)?;
    let plan = Plan::new(directories, &args.launch)?;
    let ready = make_ready(directories, &plan, &args.launch.unlock)?;
    let mut command = command(&podman, &plan, &ready, args);
    // Closes the vault: the last connection folds its write-ahead log into the file.
    drop(ready);
    let start = RunError::Start { podman, why: command.exec() };
    let undo = CleanupArgs {
        name: plan.name,
        force: false,
        json: false,
        unlock: args.launch.unlock.clone(),
    };
    match cleanup::take_back(directories, &undo) {
        Ok(_) => Err(start.into()),
        Err(cleanup) => Err(RunError::StartAndCleanup { start: Box::new(start), cleanup }.into()),
    }
}

/// `podman run FLAGS WORDS…`. The variables' names are arguments, which every user can read;
/// their values are in the environment, which is the operator's own.
fn command(podman: &PathBuf, plan: &Plan, ready: &Ready, args: &RunArgs) -> Command {
    let mut command = Command::new(podman);
    command.arg("run").args(&ready.flags);
    // May itself be sensitive, and is nothing to podman.
    command.env_remove("TEROK_VAULT_PASSPHRASE_COMMAND");
    // Real credentials; `podman run --env-host` would pass them on.
    for token in &plan.tokens {
        command.env_remove(&token.variable);
    }
    for (name, value) in &ready.variables {
        command.arg(format!("--env={name}")).env(name, value.expose());
    }
    command.args(&args.podman);
    command
}

/// Looked for before anything is prepared.
fn find_podman() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join("podman")).find(|program| {
        program
            .metadata()
            .is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
    })
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPodman => f.write_str(
                "run podman: none on PATH\n\
                 hint: install podman, or use `terokctl prepare` for its flags",
            ),
            Self::Start { podman, why } => write!(f, "run {}: {why}", podman.display()),
            Self::StartAndCleanup { start, cleanup } => {
                write!(f, "{start}\nand what was prepared is still there: {cleanup}")
            }
        }
    }
}

impl std::error::Error for RunError {}

//! `terokctl`: sets up, launches, administers. Reads the command line, does one thing, says in one
//! sentence why it could not.

mod cli;
mod demo;
mod hooks;
mod launch;
mod setup;
mod ssh;
mod vault;

mod credential_name;
mod directories;
mod known_provider;
mod output;
mod private_file;
mod secret_source;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use terok_shared::logging;

use crate::cli::{Cli, Command};
use crate::directories::Directories;
use crate::output::{print, remark};

/// Why a command failed. Nobody branches on it here any more: it is told.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    logging::start("terokctl");
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !is_broken_pipe(&failure) {
                remark(&format!("error: {failure}"));
            }
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let directories = Directories::of_this_process()?;
    match command {
        Command::Setup(args) => {
            let places = setup_places(&directories)?;
            let python_hooks = match args.replace {
                true => setup::PythonHooks::SetAside,
                false => setup::PythonHooks::Refuse,
            };
            let options = setup::Options { python_hooks, run: setup_run(args.dry_run) };
            print(&setup::setup(&places, &options)?.to_string())?;
        }
        Command::Uninstall(args) => {
            let places = setup_places(&directories)?;
            print(&setup::uninstall(&places, setup_run(args.dry_run))?.to_string())?;
        }
        Command::Vault(command) => vault::run(&directories, command)?,
        Command::Ssh(command) => ssh::run(&directories, command)?,
        Command::Prepare(args) => launch::prepare(&directories, &args)?,
        Command::Run(args) => launch::run(&directories, &args)?,
        Command::Cleanup(args) => launch::cleanup(&directories, &args)?,
        Command::Hooks(command) => hooks::run(&directories, command)?,
        Command::Demo => demo::run()?,
    }
    Ok(())
}

fn setup_places(directories: &Directories) -> Result<setup::Places, Failure> {
    setup::Places::of_this_process(directories.state.path().to_owned())
        .map_err(|why| format!("find out about this machine: {why}").into())
}

fn setup_run(dry_run: bool) -> setup::Run {
    if dry_run { setup::Run::Dry } else { setup::Run::Apply }
}

/// The reader of our output had enough.
fn is_broken_pipe(failure: &Failure) -> bool {
    failure.downcast_ref::<io::Error>().is_some_and(|why| why.kind() == io::ErrorKind::BrokenPipe)
}

//! `terokctl`: sets up, launches, administers. Reads the command line, does one thing, says in one
//! sentence why it could not.

mod cli;
mod config;
mod demo;
mod egress;
mod gate;
mod hooks;
mod launch;
mod manual;
mod observe;
mod setup;
mod ssh;
mod vault;

mod access_token;
mod credential_name;
mod directories;
mod known_provider;
mod output;
mod private_file;
mod secret_source;
mod yaml;

use std::io;
use std::process::ExitCode;

use log::LevelFilter;
use terok_shared::logging;

use crate::cli::{Cli, Command, ConfigCommand};
use crate::directories::Directories;
use crate::output::{Verbosity, complain};

/// Why a command failed. Nobody branches on it here any more: it is told.
type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let cli = Cli::read();
    let verbosity = speak(&cli);
    match run(cli.command, verbosity) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // A report that something is broken has been given; its reader may have had enough.
            if !is_broken_pipe(&failure) && !failure.is::<observe::Broken>() {
                complain(&format!("error: {failure}"));
            }
            ExitCode::FAILURE
        }
    }
}

/// Starts logging as loud as the command line wants, or, when it says nothing, the environment.
fn speak(cli: &Cli) -> Verbosity {
    let verbosity = cli.verbosity();
    match (verbosity, cli.verbose) {
        (Verbosity::Normal, _) => logging::start("terokctl"),
        (Verbosity::Quiet, _) => logging::start_at("terokctl", LevelFilter::Error),
        (Verbosity::Verbose, 1) => logging::start_at("terokctl", LevelFilter::Debug),
        (Verbosity::Verbose, _) => logging::start_at("terokctl", LevelFilter::Trace),
    }
    if verbosity == Verbosity::Quiet {
        output::be_quiet();
    }
    verbosity
}

fn run(command: Command, verbosity: Verbosity) -> Result<(), Failure> {
    match command {
        // These work for somebody without a home, too.
        Command::Completions(args) => return manual::completions(&args),
        Command::Man(args) => return manual::man(&args),
        _ => {}
    }
    let directories = Directories::of_this_process()?;
    match command {
        Command::Setup(args) => setup::run_setup(&directories, &args)?,
        Command::Uninstall(args) => setup::run_uninstall(&directories, &args)?,
        Command::Vault(command) => vault::run(&directories, command)?,
        Command::Ssh(command) => ssh::run(&directories, command)?,
        Command::Gate(command) => gate::run(&directories, command)?,
        Command::Prepare(args) => launch::prepare(&directories, &args)?,
        Command::Run(args) => launch::run(&directories, &args)?,
        Command::Cleanup(args) => launch::cleanup(&directories, &args)?,
        Command::Hooks(command) => hooks::run(&directories, command)?,
        Command::Config(ConfigCommand::Show(args)) => config::show(&directories, &args)?,
        Command::Demo => demo::run()?,
        Command::Status(args) => observe::status(&directories, &args)?,
        Command::Logs(args) => observe::logs(&directories, &args)?,
        Command::Audit(args) => observe::audit(&directories, &args)?,
        Command::Doctor(args) => {
            observe::doctor(&directories, &setup::Places::of(&directories)?, &args, verbosity)?;
        }
        Command::Respawn(args) => observe::respawn(&directories, &args)?,
        Command::Version(args) => {
            observe::version(&directories, &args, verbosity == Verbosity::Verbose)?;
        }
        Command::Completions(_) | Command::Man(_) => unreachable!("done above"),
    }
    Ok(())
}

/// The reader of our output had enough.
fn is_broken_pipe(failure: &Failure) -> bool {
    failure.downcast_ref::<io::Error>().is_some_and(|why| why.kind() == io::ErrorKind::BrokenPipe)
}

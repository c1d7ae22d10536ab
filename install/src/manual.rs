//! `completions` and `man`: generated from the command line itself, so that they cannot be wrong
//! about it.

use crate::Failure;
use crate::cli::command;
use crate::cli::observe::{CompletionsArgs, ManArgs};
use crate::output::print;

const NAME: &str = "terokctl";

/// Prints the script for a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), NAME, &mut script);
    print(&String::from_utf8(script).expect("scripts are made of the command line's own words"))?;
    Ok(())
}

/// Writes a page for every command.
pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    clap_mangen::generate_to(command(), &args.directory)
        .map_err(|why| format!("write man pages to {}: {why}", args.directory.display()).into())
}

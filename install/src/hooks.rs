//! `terokctl hooks …`: our hooks where nobody reads a hooks directory.

mod inject;

use crate::Failure;
use crate::cli::HooksCommand;
use crate::directories::Directories;

pub(crate) fn run(directories: &Directories, command: HooksCommand) -> Result<(), Failure> {
    match command {
        HooksCommand::Inject(args) => inject::run(directories, &args),
    }
}

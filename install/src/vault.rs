//! `terokctl vault …`: the credentials, the passphrase that guards them, and the tokens that stand
//! for them. A file per verb; `open` and `routes_file` serve several.

mod add;
mod backup;
mod check;
mod import;
mod init;
mod list;
mod open;
mod passphrase;
mod remove;
mod routes_file;
mod session;
mod status;
mod token;

use crate::Failure;
use crate::cli::VaultCommand;
use crate::directories::Directories;

pub(crate) use self::import::{Lendable, lendable};
pub(crate) use self::open::{VaultError, open, open_with, refuse_stdin_twice, sources};
pub(crate) use self::routes_file::{read as read_routes, update as update_route};

pub(crate) fn run(directories: &Directories, command: VaultCommand) -> Result<(), Failure> {
    match command {
        VaultCommand::Init(args) => init::run(directories, &args),
        VaultCommand::Unlock(args) => session::unlock(directories, &args),
        VaultCommand::Lock(args) => session::lock(directories, &args),
        VaultCommand::Status(args) => status::run(directories, &args),
        VaultCommand::Passphrase(command) => passphrase::run(directories, command),
        VaultCommand::Add(args) => add::run(directories, &args),
        VaultCommand::Import(args) => import::run(directories, &args),
        VaultCommand::List(args) => list::run(directories, &args),
        VaultCommand::Remove(args) => remove::run(directories, &args),
        VaultCommand::Token(command) => token::run(directories, command),
        VaultCommand::Check(args) => check::run(directories, &args),
        VaultCommand::Backup(args) => backup::run(directories, &args),
    }
}

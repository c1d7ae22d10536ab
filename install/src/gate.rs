//! `terokctl gate …`: the mirrors that containers clone from and push to.
//!
//! A mirror is a bare repository. What upstream has is fetched into `refs/terok/upstream/*`, which
//! no container sees; from there new and forwarded refs are taken over, and everything else waits
//! for the operator's word. Old tips that go become `refs/terok/backup/*`.

mod mirror;
mod refs;

mod init;
mod upstream;

mod sync;

mod compare;
mod snapshot;

mod credential_helper;
mod fetch;
mod progress;
mod ssh_agent;

mod backups;
mod push_log;
mod status;

use crate::Failure;
use crate::cli::GateCommand;
use crate::directories::Directories;

pub(crate) use self::mirror::ProjectName;

pub(crate) fn run(directories: &Directories, command: GateCommand) -> Result<(), Failure> {
    match command {
        GateCommand::Init(args) => init::run(directories, &args),
        GateCommand::Sync(args) => sync::run(directories, &args),
        GateCommand::Status(args) => status::run(directories, &args),
        GateCommand::Log(args) => push_log::run(directories, &args),
        GateCommand::Backups(args) => backups::list(directories, &args),
        GateCommand::Restore(args) => backups::restore(directories, &args),
        GateCommand::Prune(args) => backups::prune(directories, &args),
        GateCommand::CredentialHelper(args) => credential_helper::run(&args),
    }
}

//! `vault backup`: a copy that is a vault of its own.

use super::open::open;
use crate::Failure;
use crate::cli::BackupArgs;
use crate::directories::Directories;
use crate::output::print;

pub(super) fn run(directories: &Directories, args: &BackupArgs) -> Result<(), Failure> {
    open(directories, &args.unlock)?.back_up(&args.file)?;
    print(&format!("copied the vault to {}; the same passphrase opens it", args.file.display()))?;
    Ok(())
}

//! `vault backup`: a copy that is a vault of its own.

use serde_json::json;

use super::open::open;
use crate::Failure;
use crate::cli::BackupArgs;
use crate::directories::Directories;
use crate::output::tell;

pub(super) fn run(directories: &Directories, args: &BackupArgs) -> Result<(), Failure> {
    open(directories, &args.unlock)?.back_up(&args.file)?;
    let told = format!("copied the vault to {}; the same passphrase opens it", args.file.display());
    tell(args.json, &told, &json!({ "file": args.file }))?;
    Ok(())
}

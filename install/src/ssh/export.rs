//! `ssh export`: a key leaves the vault as a file of its owner's, under a passphrase.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde_json::json;
use vault_store::ssh_key::export::{ExportError, export};

use super::SshError;
use crate::Failure;
use crate::cli::ExportKeyArgs;
use crate::directories::Directories;
use crate::output::{print, print_json, remark};
use crate::private_file;
use crate::secret_source::Source;
use crate::vault::{open, refuse_stdin_twice};

#[derive(Debug)]
enum ExportFailed {
    Key { fingerprint: String, why: ExportError },
    Write { file: PathBuf, why: io::Error },
}

pub(super) fn run(directories: &Directories, args: &ExportKeyArgs) -> Result<(), Failure> {
    let own = Source::of_file(args.key_passphrase_file.as_deref());
    refuse_stdin_twice(&args.unlock, &own)?;
    let to_stdout = args.file.as_os_str() == "-";
    if !to_stdout && args.file.symlink_metadata().is_ok() {
        // Sooner than a question for a passphrase.
        let why = io::ErrorKind::AlreadyExists.into();
        return Err(ExportFailed::Write { file: args.file.clone(), why }.into());
    }
    let vault = open(directories, &args.unlock)?;
    let fingerprint = &args.fingerprint;
    let key = vault
        .find_ssh_private_key(fingerprint)?
        .ok_or_else(|| SshError::NoSuchKey { fingerprint: fingerprint.clone() })?;
    let passphrase = own.new_line("passphrase of the key file")?;
    let text = export(&key, &passphrase)
        .map_err(|why| ExportFailed::Key { fingerprint: fingerprint.clone(), why })?;
    if to_stdout {
        print(text.expose())?; // whatever was asked for beside it
    } else {
        private_file::create(&args.file, text.expose().as_bytes())
            .map_err(|why| ExportFailed::Write { file: args.file.clone(), why })?;
        if args.json {
            print_json(&json!({ "fingerprint": fingerprint, "file": args.file }))?;
        }
        remark(&format!("wrote key {fingerprint} to {}", args.file.display()));
    }
    Ok(())
}

impl fmt::Display for ExportFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { fingerprint, why } => write!(f, "export key {fingerprint}: {why}"),
            Self::Write { file, why } => {
                write!(f, "write {}: {why}", file.display())?;
                match why.kind() {
                    io::ErrorKind::AlreadyExists => {
                        f.write_str("\nhint: name a file that does not exist")
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for ExportFailed {}

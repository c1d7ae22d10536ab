//! `vault passphrase change` and `seal`.
//!
//! Whoever has the old passphrase must get the new one, or it shuts its owner out: the session
//! cache and the sealed file are written here, for the rest there is a note.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;
use terok_shared::layout;
use terok_shared::secret::Secret;
use vault_store::Vault;
use vault_store::database::{OpenError, RekeyError, Rekeyed};
use vault_store::unlock::session_cache;
use vault_store::unlock::{SealError, Tier, seal};

use super::open::{VaultError, passphrase, refuse_stdin_twice, sources};
use super::session::remember;
use crate::Failure;
use crate::cli::{ChangePassphraseArgs, PassphraseCommand, SealPassphraseArgs};
use crate::directories::Directories;
use crate::output::{remark, tell};
use crate::private_file;
use crate::secret_source::Source;

#[derive(Debug)]
enum PassphraseFailed {
    Seal(SealError),
    Write {
        file: PathBuf,
        why: io::Error,
    },
    /// The vault has the new passphrase, the sealed file the old one.
    Stale {
        file: PathBuf,
        why: Box<PassphraseFailed>,
    },
}

pub(super) fn run(directories: &Directories, command: PassphraseCommand) -> Result<(), Failure> {
    match command {
        PassphraseCommand::Change(args) => change(directories, &args),
        PassphraseCommand::Seal(args) => seal_for_this_machine(directories, &args),
    }
}

fn change(directories: &Directories, args: &ChangePassphraseArgs) -> Result<(), Failure> {
    let path = directories.database();
    if !path.exists() {
        return Err(missing(path));
    }
    let new_source = Source::of_file(args.new_passphrase_file.as_deref());
    refuse_stdin_twice(&args.unlock, &new_source)?;
    let (old, tier) = passphrase(&sources(directories, &args.unlock), &args.unlock)?;
    let new = new_source.new_line("new vault passphrase")?;

    let rekeyed = match Vault::change_passphrase(&path, &old, &new) {
        Err(RekeyError::Open(why)) => return Err(VaultError::Open { why, tier }.into()),
        other => other?,
    };
    let mut told = vec![
        match rekeyed {
            Rekeyed::Changed => "the vault has its new passphrase",
            Rekeyed::Already => "the vault has this passphrase already",
        }
        .to_owned(),
    ];
    let tiers = tell_the_tiers(directories, args, &new, &mut told);
    let changed = matches!(rekeyed, Rekeyed::Changed);
    tell(args.json, &told.join("\n"), &json!({ "vault": path, "changed": changed, "told": told }))?;
    tiers?;
    if let Some(tier @ (Tier::OsKeyring | Tier::Command)) = tier {
        remark(&format!("note: the {tier} still has the old one; give it the new one"));
    }
    Ok(())
}

/// The tiers that are ours to write. What fails here can be repeated with the same command.
fn tell_the_tiers(
    directories: &Directories,
    args: &ChangePassphraseArgs,
    new: &Secret<String>,
    told: &mut Vec<String>,
) -> Result<(), Failure> {
    if args.no_remember {
        for directory in directories.session_passphrases() {
            session_cache::forget(&directory, &directories.database())?;
        }
    } else {
        match remember(directories, new) {
            Ok(line) => told.push(line),
            Err(why) => remark(&format!("note: {why}")),
        }
    }
    let file = layout::sealed_passphrase_beside(&directories.database());
    if file.symlink_metadata().is_ok() {
        write_sealed(&file, new)
            .map_err(|why| PassphraseFailed::Stale { file: file.clone(), why: Box::new(why) })?;
        told.push(format!("sealed it again in {}", file.display()));
    }
    Ok(())
}

fn seal_for_this_machine(
    directories: &Directories,
    args: &SealPassphraseArgs,
) -> Result<(), Failure> {
    let path = directories.database();
    if !path.exists() {
        return Err(missing(path));
    }
    let (passphrase, tier) = passphrase(&sources(directories, &args.unlock), &args.unlock)?;
    // What does not open the vault is not worth a seal.
    Vault::open(&path, &passphrase).map_err(|why| VaultError::Open { why, tier })?;
    let file = layout::sealed_passphrase_beside(&path);
    write_sealed(&file, &passphrase)?;
    let told = format!("sealed the passphrase to this machine in {}", file.display());
    tell(args.json, &told, &json!({ "file": file }))?;
    Ok(())
}

fn write_sealed(file: &Path, passphrase: &Secret<String>) -> Result<(), PassphraseFailed> {
    let sealed = seal(passphrase).map_err(PassphraseFailed::Seal)?;
    private_file::replace(file, &sealed)
        .map_err(|why| PassphraseFailed::Write { file: file.to_owned(), why })
}

fn missing(path: PathBuf) -> Failure {
    VaultError::Open { why: OpenError::Missing { path }, tier: None }.into()
}

impl fmt::Display for PassphraseFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seal(why) => write!(
                f,
                "seal the passphrase: {why}\n\
                 hint: `systemd-creds encrypt --user - -` shows whether this machine can"
            ),
            Self::Write { file, why } => write!(f, "write {}: {why}", file.display()),
            Self::Stale { file, why } => {
                let why = why.to_string();
                let why = why.lines().next().unwrap_or_default();
                let file = file.display();
                write!(
                    f,
                    "the passphrase is changed, but {file} still seals the old one: {why}\n\
                     hint: run it again with the same passphrase, or remove {file}"
                )
            }
        }
    }
}

impl std::error::Error for PassphraseFailed {}

//! `vault passphrase …`, `check` and `backup`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::UnlockArgs;

#[derive(Debug, Subcommand)]
pub(crate) enum PassphraseCommand {
    /// Give the vault another passphrase; refused while anything has the vault open.
    Change(ChangePassphraseArgs),
    /// Seal the passphrase to this machine, so that nobody has to unlock the vault here.
    Seal(SealPassphraseArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl vault passphrase change            asks for the new one twice
  terokctl vault passphrase change --new-passphrase-file F

The session cache and a sealed file get the new passphrase too. After a crash \
run it again with the same new passphrase: it finishes what is missing.")]
pub(crate) struct ChangePassphraseArgs {
    /// Read the new passphrase from FILE, or from standard input with `-`.
    #[arg(long, value_name = "FILE")]
    pub(crate) new_passphrase_file: Option<PathBuf>,
    /// Do not keep the new passphrase for this login session.
    #[arg(long)]
    pub(crate) no_remember: bool,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  terokctl vault passphrase seal

Needs systemd-creds of systemd 256 or later.")]
pub(crate) struct SealPassphraseArgs {
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl vault check
  terokctl vault check --json

Exit status: 0 sound, 1 there is a finding, 2 wrong usage. Nothing is repaired.")]
pub(crate) struct CheckArgs {
    /// Print a JSON array of findings.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  terokctl vault backup ~/backup/credentials-2030-01-31.db

The copy is a vault of its own under the same passphrase, made while others go \
on using this one.")]
pub(crate) struct BackupArgs {
    /// The file to make; one that exists is never overwritten.
    pub(crate) file: PathBuf,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

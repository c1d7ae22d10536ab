//! `ssh …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use vault_store::scope::{Comment, ScopeName};

use super::{UnlockArgs, scope};

#[derive(Debug, Subcommand)]
pub(crate) enum SshCommand {
    /// Make a key in the vault; the private half never leaves it.
    Generate(GenerateKeyArgs),
    /// Take a private key file (OpenSSH or PEM) into the vault.
    Import(ImportKeyArgs),
    /// List the keys; only public facts.
    List(ListKeysArgs),
    /// Print public key lines, as authorized_keys files and forges take them.
    Pub(PublicKeyArgs),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyType {
    Ed25519,
    /// With 3072 bits.
    Rsa,
}

/// To whom a new key belongs.
#[derive(Debug, Args)]
pub(crate) struct OwnerArgs {
    /// Whose key it is: containers of this scope can use it.
    #[arg(long, default_value = "default", value_parser = scope)]
    pub(crate) scope: ScopeName,
    /// The key's label, shown by `ssh-add -L`.
    #[arg(long, value_parser = Comment::parse)]
    pub(crate) comment: Option<Comment>,
    /// Offer it before the other keys of the scope; the first key of a scope always is.
    #[arg(long)]
    pub(crate) default: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  terokctl ssh generate --scope web --comment 'deploy key of web'"
)]
pub(crate) struct GenerateKeyArgs {
    #[command(flatten)]
    pub(crate) owner: OwnerArgs,
    /// The kind of key.
    #[arg(long = "type", value_enum, default_value = "ed25519")]
    pub(crate) key_type: KeyType,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  terokctl ssh import ~/.ssh/id_ed25519 --scope web\n\n\
    The comment is the file's own, or that of FILE.pub. A passphrase is asked for when needed.")]
pub(crate) struct ImportKeyArgs {
    /// The private key file.
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) owner: OwnerArgs,
    /// Read the key file's own passphrase from FILE, or from standard input with `-`.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListKeysArgs {
    /// Only the keys of this scope.
    #[arg(long, value_parser = scope)]
    pub(crate) scope: Option<ScopeName>,
    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  terokctl ssh pub --scope web\n  terokctl ssh pub SHA256:…",
    group = clap::ArgGroup::new("which").required(true)
)]
pub(crate) struct PublicKeyArgs {
    /// The key's fingerprint, as `ssh list` prints it.
    #[arg(group = "which")]
    pub(crate) fingerprint: Option<String>,
    /// All keys of this scope, the default first.
    #[arg(long, group = "which", value_parser = scope)]
    pub(crate) scope: Option<ScopeName>,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

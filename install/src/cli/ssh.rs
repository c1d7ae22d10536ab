//! `ssh …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use vault_store::scope::{Comment, ScopeName};
use vault_store::ssh_key::rules::Rule;

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
    /// Give a scope a key that is in the vault.
    Assign(AssignKeyArgs),
    /// Offer a key before the other keys of its scope.
    Default(DefaultKeyArgs),
    /// Take a key from a scope, or out of the vault.
    Remove(RemoveKeyArgs),
    /// Write a key as an OpenSSH private key file under a passphrase.
    Export(ExportKeyArgs),
    /// Limit what a key may be used for: hosts, users, namespaces.
    Rules(KeyRulesArgs),
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
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
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
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  terokctl ssh list\n  terokctl ssh list --scope web --json")]
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
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  terokctl ssh assign SHA256:… --scope web")]
pub(crate) struct AssignKeyArgs {
    /// The key's fingerprint, as `ssh list` prints it.
    pub(crate) fingerprint: String,
    /// Containers of this scope can use it from now on.
    #[arg(long, value_parser = scope)]
    pub(crate) scope: ScopeName,
    /// Offer it before the other keys of the scope.
    #[arg(long)]
    pub(crate) default: bool,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  terokctl ssh default SHA256:… --scope web")]
pub(crate) struct DefaultKeyArgs {
    /// The key's fingerprint, as `ssh list` prints it.
    pub(crate) fingerprint: String,
    /// The scope, which has the key already.
    #[arg(long, value_parser = scope)]
    pub(crate) scope: ScopeName,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl ssh remove SHA256:… --scope web     gone when nobody else has it
  terokctl ssh remove SHA256:… --everywhere    out of the vault

Its rules stay: imported again, it is as limited as before.",
    group = clap::ArgGroup::new("where").required(true))]
pub(crate) struct RemoveKeyArgs {
    /// The key's fingerprint, as `ssh list` prints it.
    pub(crate) fingerprint: String,
    /// Take it from this scope.
    #[arg(long, group = "where", value_parser = scope)]
    pub(crate) scope: Option<ScopeName>,
    /// Take it from every scope and out of the vault.
    #[arg(long, group = "where")]
    pub(crate) everywhere: bool,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl ssh export SHA256:… id_web           asks for a passphrase twice
  terokctl ssh export SHA256:… - --key-passphrase-file F | ssh-add -

The file has mode 0600. A key without a passphrase does not leave the vault.")]
pub(crate) struct ExportKeyArgs {
    /// The key's fingerprint, as `ssh list` prints it.
    pub(crate) fingerprint: String,
    /// The file to make, or `-` for standard output; one that exists is never overwritten.
    pub(crate) file: PathBuf,
    /// Read the new file's own passphrase from FILE, or from standard input with `-`.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_passphrase_file: Option<PathBuf>,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl ssh rules SHA256:…                    what it may be used for
  terokctl ssh rules SHA256:… --user git --host \"$(ssh-keygen -F HOST | tail -n1)\"
  terokctl ssh rules SHA256:… --namespace git    commit signatures only
  terokctl ssh rules SHA256:… --clear            everything again

A key without rules may be used for every login and every signed message. The \
first rule makes the list of what is allowed; a login must fit a host rule, if \
there is one, and a user rule, if there is one. `*` in a user or a namespace \
stands for any characters, `?` for any one.")]
pub(crate) struct KeyRulesArgs {
    /// The key's fingerprint, as `ssh list` prints it.
    pub(crate) fingerprint: String,
    /// Allow logging in where this host key is proved: SHA256:…, or a line of known_hosts.
    #[arg(long = "host", value_name = "KEY", value_parser = host_rule)]
    pub(crate) hosts: Vec<Rule>,
    /// Allow logging in as such a user.
    #[arg(long = "user", value_name = "PATTERN", value_parser = Rule::user)]
    pub(crate) users: Vec<Rule>,
    /// Allow signed messages (`ssh-keygen -Y sign`) of such a namespace; `git` for commits.
    #[arg(long = "namespace", value_name = "PATTERN", value_parser = Rule::namespace)]
    pub(crate) namespaces: Vec<Rule>,
    /// Remove all rules first.
    #[arg(long)]
    pub(crate) clear: bool,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

/// One key: of several lines all but the first would be lost without a word.
fn host_rule(text: &str) -> Result<Rule, String> {
    match text.trim().contains('\n') {
        true => Err("several lines; expected one key".to_owned()),
        false => Rule::host(text).map_err(|why| why.to_string()),
    }
}

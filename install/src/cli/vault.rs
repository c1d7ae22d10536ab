//! `vault …`.

mod import;

mod upkeep;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use terok_shared::token::Form;
use vault_store::scope::ScopeName;

use super::{UnlockArgs, scope};
use crate::credential_name::{ProviderName, SetName};
use crate::known_provider;

pub(crate) use import::{ImportArgs, ImportFormat};
pub(crate) use upkeep::{
    BackupArgs, ChangePassphraseArgs, CheckArgs, PassphraseCommand, SealPassphraseArgs,
};

#[derive(Debug, Subcommand)]
pub(crate) enum VaultCommand {
    /// Make a new vault.
    Init(InitArgs),
    /// Check the passphrase and keep what opens the vault in memory for this login session.
    Unlock(VaultUnlockArgs),
    /// Forget it.
    Lock(LockArgs),
    /// Say where the vault is, who has its passphrase and what is in it.
    Status(StatusArgs),
    /// The passphrase itself: change it, seal it.
    #[command(subcommand)]
    Passphrase(PassphraseCommand),
    /// Store a credential, and the route to its provider.
    Add(AddArgs),
    /// Store what other programs keep in their files.
    Import(ImportArgs),
    /// List the credentials; never their values.
    List(ListArgs),
    /// Remove a credential; the route stays.
    Remove(RemoveArgs),
    /// Tokens that stand for a credential.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Look for damage: pages, rows, references, modes.
    Check(CheckArgs),
    /// Copy the vault, encrypted as it is.
    Backup(BackupArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it, this one time.
    Mint(MintArgs),
    /// List what the tokens grant; never the tokens.
    List(TokenListArgs),
    /// Revoke tokens: they stop working at once.
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl vault init                                  asks for the passphrase twice
  terokctl vault init --generate                       makes one and prints it, once
  terokctl vault init --generate --passphrase-file F   makes one and writes it to F")]
pub(crate) struct InitArgs {
    /// Read the new passphrase from FILE, or from standard input with `-`.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Make a passphrase of 128 random bits.
    #[arg(long)]
    pub(crate) generate: bool,
    /// Do not keep the passphrase for this login session.
    #[arg(long)]
    pub(crate) no_remember: bool,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl vault unlock
  terokctl vault unlock --passphrase-file F

Kept is the key that is derived from the passphrase: whoever opens the vault next \
is spared the derivation, about 0.1 s, and the passphrase lies nowhere.")]
pub(crate) struct VaultUnlockArgs {
    /// Read the passphrase from FILE, or from standard input with `-`.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Keep the passphrase itself, for a program that shall show it or seal it.
    #[arg(long)]
    pub(crate) keep_passphrase: bool,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  terokctl vault lock

Supervisors that run keep the vault they have open.")]
pub(crate) struct LockArgs {
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  terokctl vault status\n  terokctl vault status --json")]
pub(crate) struct StatusArgs {
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

/// What kind of credential it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum CredentialType {
    ApiKey,
    OauthToken,
    Pat,
    /// An access token, presented as `Authorization: Bearer` with the route's OAuth headers.
    Oauth,
}

/// Which credential.
#[derive(Debug, Args)]
pub(crate) struct CredentialArgs {
    /// The provider's name: the name of its route.
    #[arg(value_parser = ProviderName::parse)]
    pub(crate) provider: ProviderName,
    /// The credential set: for several accounts with one provider.
    #[arg(long, value_name = "SET", default_value = "default", value_parser = SetName::parse)]
    pub(crate) set: SetName,
}

#[derive(Debug, Args)]
#[command(after_help = format!("\
Examples:
  terokctl vault add github                       asks, without echo
  gh auth token | terokctl vault add github       from standard input
  terokctl vault add anthropic --env ANTHROPIC_API_KEY
  terokctl vault add anthropic --type oauth       a token of `claude setup-token`
  terokctl vault add mine --upstream https://api.example.com --auth-header X-Api-Key

The route is written to routes.json beside the vault. A route that is there stays as it is unless
an option says otherwise. Known providers: {}.", known_provider::NAMES))]
pub(crate) struct AddArgs {
    #[command(flatten)]
    pub(crate) credential: CredentialArgs,
    /// What kind of credential it is [default: pat for github and gitlab, else api_key].
    #[arg(long = "type", value_enum, conflicts_with = "json_file")]
    pub(crate) credential_type: Option<CredentialType>,
    /// Read the secret from FILE, or from standard input with `-`.
    #[arg(long, value_name = "FILE", group = "secret")]
    pub(crate) from_file: Option<PathBuf>,
    /// Read the secret from this variable of the environment.
    #[arg(long, value_name = "VARIABLE", group = "secret")]
    pub(crate) env: Option<String>,
    /// Read a whole credential, a JSON object such as an OAuth login, from FILE or `-`.
    #[arg(long, value_name = "FILE", group = "secret")]
    pub(crate) json_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) route: RouteArgs,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

/// What the route shall say.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Route")]
pub(crate) struct RouteArgs {
    /// The provider's base URL.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// The header that carries the credential; `dynamic` for x-api-key or OAuth's Bearer.
    #[arg(long, value_name = "HEADER")]
    pub(crate) auth_header: Option<String>,
    /// What precedes the credential in that header [default: `Bearer ` in Authorization].
    #[arg(long, value_name = "PREFIX")]
    pub(crate) auth_prefix: Option<String>,
    /// Members for a route that does not have them, which no option says.
    #[arg(skip)]
    pub(crate) additions: serde_json::Map<String, serde_json::Value>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  terokctl vault list\n  terokctl vault list --json")]
pub(crate) struct ListArgs {
    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  terokctl vault remove github\n  terokctl vault remove github --set work"
)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    pub(crate) credential: CredentialArgs,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  terokctl vault token mint github --scope web --subject web-1")]
pub(crate) struct MintArgs {
    /// The provider, or `ssh` for the keys of the scope.
    pub(crate) provider: String,
    /// The credential set.
    #[arg(long, value_name = "SET", default_value = "default", value_parser = SetName::parse)]
    pub(crate) set: SetName,
    /// Whose token it is: only containers of this scope can use it.
    #[arg(long, default_value = "default", value_parser = scope)]
    pub(crate) scope: ScopeName,
    /// The container it is for.
    #[arg(long, default_value = "")]
    pub(crate) subject: String,
    /// Give it the form of this provider's own tokens, for clients that look at it.
    #[arg(long, value_name = "PROVIDER", value_parser = token_form)]
    pub(crate) like: Option<Form>,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  terokctl vault token list\n  terokctl vault token list --json"
)]
pub(crate) struct TokenListArgs {
    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  terokctl vault token revoke 1f2e3d4c5b6a\n  \
        terokctl vault token revoke --subject web-1 --scope web",
    group = clap::ArgGroup::new("which").required(true)
)]
pub(crate) struct RevokeArgs {
    /// Ids, as `vault token list` prints them.
    #[arg(group = "which", value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Every token of this holder, such as a container's name.
    #[arg(long, group = "which")]
    pub(crate) subject: Option<String>,
    /// With --subject: only in this scope.
    #[arg(long, requires = "subject", value_parser = scope)]
    pub(crate) scope: Option<ScopeName>,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

fn token_form(provider: &str) -> Result<Form, String> {
    Form::of(provider).ok_or_else(|| {
        let known: Vec<&str> = Form::providers().collect();
        format!("the form of its tokens is known of {} only", known.join(", "))
    })
}

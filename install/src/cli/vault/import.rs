//! `vault import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::UnlockArgs;
use crate::credential_name::{ProviderName, SetName};

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportFormat {
    /// Claude Code's login, ~/.claude/.credentials.json.
    Claude,
    /// Codex's login or key, ~/.codex/auth.json.
    Codex,
    /// GitHub CLI's token, ~/.config/gh/hosts.yml.
    Gh,
    /// GitLab CLI's token, ~/.config/glab-cli/config.yml.
    Glab,
    /// Lines of VARIABLE=VALUE; known variables become credentials.
    Env,
    /// An object of credentials by provider.
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl vault import claude
  terokctl vault import env .env
  terokctl vault import gh --host github.example.com --provider work-github
  terokctl vault import json - < credentials.json

The files stay as they are. A login's refresh token works once: after the vault \
has renewed the login, the program it came from has to log in again. \
--no-refresh leaves that token out.")]
pub(crate) struct ImportArgs {
    /// Whose file it is.
    #[arg(value_enum)]
    pub(crate) format: ImportFormat,
    /// The file, or `-` for standard input [default: where the program keeps it].
    pub(crate) file: Option<PathBuf>,
    /// Store it for this provider instead of the usual one.
    #[arg(long, value_parser = ProviderName::parse)]
    pub(crate) provider: Option<ProviderName>,
    /// The credential set.
    #[arg(long, value_name = "SET", default_value = "default", value_parser = SetName::parse)]
    pub(crate) set: SetName,
    /// For gh and glab: the host [default: github.com, gitlab.com].
    #[arg(long, value_name = "HOST", value_parser = host)]
    pub(crate) host: Option<String>,
    /// Leave out the refresh token: the access token works until it expires.
    #[arg(long)]
    pub(crate) no_refresh: bool,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

/// It becomes part of a URL.
fn host(name: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':');
    match !name.is_empty() && name.chars().all(plain) {
        true => Ok(name.to_owned()),
        false => Err("expected a host name".to_owned()),
    }
}

//! The command line: every command with its options, help and examples.
//!
//! Words that have rules (a container's name, a scope) are checked here, so that commands get
//! typed values; everything that needs a look at files is the commands' own business.

mod config;
mod gate;
mod hooks;
mod launch;
pub(crate) mod observe;
mod setup;
mod ssh;
mod vault;

use std::path::PathBuf;

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use vault_store::scope::ScopeName;

use crate::output::Verbosity;

pub(crate) use config::{ConfigCommand, ConfigShowArgs};
pub(crate) use gate::{
    BackupsArgs, CredentialHelperArgs, GateCommand, InitMirrorArgs, MirrorArgs, MirrorStatusArgs,
    PruneArgs, PushLogArgs, RestoreArgs, SyncArgs,
};
pub(crate) use hooks::{HooksCommand, InjectArgs};
pub(crate) use launch::{
    Activation, CleanupArgs, LaunchArgs, Mode, OciRuntime, Placement, PrepareArgs, RunArgs,
};
pub(crate) use setup::{SetupArgs, UninstallArgs};
pub(crate) use ssh::{
    AssignKeyArgs, DefaultKeyArgs, ExportKeyArgs, GenerateKeyArgs, ImportKeyArgs, KeyRulesArgs,
    KeyType, ListKeysArgs, OwnerArgs, PublicKeyArgs, RemoveKeyArgs, SshCommand,
};
pub(crate) use vault::{
    AddArgs, BackupArgs, ChangePassphraseArgs, CheckArgs, CredentialArgs, CredentialType,
    ImportArgs, ImportFormat, InitArgs, ListArgs, LockArgs, MintArgs, PassphraseCommand,
    RemoveArgs, RevokeArgs, RouteArgs, SealPassphraseArgs, StatusArgs, TokenCommand, TokenListArgs,
    VaultCommand, VaultUnlockArgs,
};

const EXAMPLES: &str = "\
Examples:
  terokctl setup                              make podman run the hooks
  terokctl vault init                         a new vault, its passphrase asked for
  terokctl vault add github < token.txt       store a credential
  terokctl ssh generate --scope web           a key that never leaves the vault
  terokctl gate init web --from https://github.com/me/web
  terokctl run web --provider github --ssh -- --rm -it IMAGE
  terokctl status                             what runs, and how it is
  terokctl doctor                             what is wrong, and what to do
  terokctl cleanup web                        revoke what `run` minted

Exit status: 0 done, 1 failed, 2 wrong usage. `terokctl config show` says where everything is.";

/// Gives untrusted containers the use of credentials without the credentials.
#[derive(Debug, Parser)]
#[command(name = "terokctl", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Say more about what is done; twice for everything.
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Say nothing but results and errors.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command ends with that says nothing else about it.
const EXIT_STATUS: &str = "Exit status: 0 done, 1 failed, 2 wrong usage.";

/// The whole command line, for parsing, completions and man pages.
pub(crate) fn command() -> clap::Command {
    with_exit_status(Cli::command())
}

fn with_exit_status(command: clap::Command) -> clap::Command {
    let said = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let command = match said {
        said if said.contains("Exit status") => command,
        said if said.is_empty() => command.after_help(EXIT_STATUS),
        said => command.after_help(format!("{said}\n\n{EXIT_STATUS}")),
    };
    command.mut_subcommands(with_exit_status)
}

impl Cli {
    /// Reads this process's arguments; ends it with a message when they are wrong.
    pub(crate) fn read() -> Self {
        let matches = command().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|why| why.exit())
    }

    pub(crate) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (false, 0) => Verbosity::Normal,
            (false, _) => Verbosity::Verbose,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Install the programs and make podman run the hooks.
    Setup(SetupArgs),
    /// Take back what setup did; vault, mirrors, logs and sidecars stay.
    Uninstall(UninstallArgs),
    /// Credentials, and the tokens that stand for them.
    #[command(subcommand)]
    Vault(VaultCommand),
    /// SSH keys that containers can sign with and never see.
    #[command(subcommand)]
    Ssh(SshCommand),
    /// The mirrors that containers clone from and push to.
    #[command(subcommand)]
    Gate(GateCommand),
    /// Make everything ready for a container and print the podman flags that wire it.
    Prepare(PrepareArgs),
    /// Prepare a container and start it with podman.
    Run(RunArgs),
    /// Revoke a container's tokens and remove what prepare made.
    Cleanup(CleanupArgs),
    /// Add our hooks where no hooks directory is read.
    #[command(subcommand)]
    Hooks(HooksCommand),
    /// What is configured, and where.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Play the main job through in a temporary directory.
    #[command(after_help = "Example:\n  terokctl demo")]
    Demo,
    /// Containers and their services.
    Status(observe::StatusArgs),
    /// What happened to a container: the hook's diary and its log, merged.
    Logs(observe::LogsArgs),
    /// Who used which credential, how often, and what was refused.
    Audit(observe::AuditArgs),
    /// Look for what is wrong or left over, and say what to do.
    Doctor(observe::DoctorArgs),
    /// Bring the supervisor of a running container back.
    Respawn(observe::RespawnArgs),
    /// Versions of the programs and of the formats they share with others.
    Version(observe::VersionArgs),
    /// Print completions for a shell.
    Completions(observe::CompletionsArgs),
    /// Write man pages into a directory.
    Man(observe::ManArgs),
}

/// Where a command gets the vault's passphrase, when no tier of its own has it.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Vault passphrase")]
pub(crate) struct UnlockArgs {
    /// Read the passphrase from FILE, or from standard input with `-`, instead of the session
    /// cache.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// A program that prints the passphrase; asked when the session cache has none [env:
    /// TEROK_VAULT_PASSPHRASE_COMMAND, else the configuration].
    #[arg(long, value_name = "COMMAND")]
    pub(crate) passphrase_command: Option<String>,
    /// Ask the desktop's keyring too; a locked one is left locked [env: TEROK_VAULT_USE_KEYRING,
    /// else the configuration].
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub(crate) use_keyring: Option<bool>,
}

/// `%name` scopes hold the sandbox's own keys; no command here touches them.
fn scope(name: &str) -> Result<ScopeName, String> {
    let scope = ScopeName::parse(name).map_err(|why| why.to_string())?;
    if scope.is_reserved() {
        return Err("names that start with `%` are reserved".to_owned());
    }
    Ok(scope)
}

#[cfg(test)]
mod tests;

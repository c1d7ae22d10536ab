//! The command line: every command with its options, help and examples.
//!
//! Words that have rules (a container's name, a scope) are checked here, so that commands get
//! typed values; everything that needs a look at files is the commands' own business.

mod gate;
mod hooks;
mod launch;
pub(crate) mod observe;
mod ssh;
mod vault;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use vault_store::scope::ScopeName;

use crate::output::Verbosity;

pub(crate) use gate::{
    BackupsArgs, CredentialHelperArgs, GateCommand, InitMirrorArgs, MirrorArgs, MirrorStatusArgs,
    PruneArgs, PushLogArgs, RestoreArgs, SyncArgs,
};
pub(crate) use hooks::{HooksCommand, InjectArgs};
pub(crate) use launch::{
    Activation, CleanupArgs, LaunchArgs, Mode, OciRuntime, PrepareArgs, RunArgs,
};
pub(crate) use ssh::{
    AssignKeyArgs, DefaultKeyArgs, ExportKeyArgs, GenerateKeyArgs, ImportKeyArgs, KeyRulesArgs,
    KeyType, ListKeysArgs, OwnerArgs, PublicKeyArgs, RemoveKeyArgs, SshCommand,
};
pub(crate) use vault::{
    AddArgs, BackupArgs, ChangePassphraseArgs, CheckArgs, CredentialArgs, CredentialType,
    ImportArgs, ImportFormat, InitArgs, ListArgs, MintArgs, PassphraseArgs, PassphraseCommand,
    RemoveArgs, RevokeArgs, RouteArgs, SealPassphraseArgs, StatusArgs, TokenCommand, TokenListArgs,
    VaultCommand,
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

Exit status: 0 done, 1 failed, 2 wrong usage.
Directories: TEROK_SANDBOX_STATE_DIR, TEROK_SANDBOX_RUNTIME_DIR, TEROK_VAULT_DIR.";

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

impl Cli {
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
    #[command(after_help = "Run it again after an upgrade: it changes only what is missing.")]
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
    /// Play the main job through in a temporary directory.
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

#[derive(Debug, Args)]
pub(crate) struct SetupArgs {
    /// Set the hooks of the Python package terok-sandbox aside; uninstall puts them back.
    #[arg(long)]
    pub(crate) replace: bool,
    /// Say what would be changed, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UninstallArgs {
    /// Say what would be changed, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Where a command gets the vault's passphrase, when no tier of its own has it.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Vault passphrase")]
pub(crate) struct UnlockArgs {
    /// Read the passphrase from FILE, or from standard input with `-`, instead of the session
    /// cache.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// A program that prints the passphrase; asked when the session cache has none.
    #[arg(
        long,
        value_name = "COMMAND",
        env = "TEROK_VAULT_PASSPHRASE_COMMAND",
        hide_env_values = true
    )]
    pub(crate) passphrase_command: Option<String>,
    /// Ask the desktop's keyring too; a locked one is left locked.
    #[arg(long, env = "TEROK_VAULT_USE_KEYRING")]
    pub(crate) use_keyring: bool,
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
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn podmans_words_are_passed_on_as_they_are() {
        let line = "terokctl run web --ssh -- --rm -it --ssh image sh -c exit";
        let Command::Run(run) = Cli::parse_from(line.split(' ')).command else { unreachable!() };
        assert_eq!(run.podman, ["--rm", "-it", "--ssh", "image", "sh", "-c", "exit"]);
        assert!(Cli::try_parse_from(["terokctl", "run", "web"]).is_err());
    }

    #[test]
    fn names_that_podman_or_a_path_cannot_have_are_usage_errors() {
        for name in ["", "..", "a/b", "-x", "a b", "ä", "_a"] {
            assert!(Cli::try_parse_from(["terokctl", "prepare", "--", name]).is_err(), "{name}");
        }
        assert!(Cli::try_parse_from(["terokctl", "prepare", "w.e-b_1"]).is_ok());
        for scope in ["", "%host", "a/b"] {
            let words = ["terokctl", "prepare", "web", "--scope", scope];
            assert!(Cli::try_parse_from(words).is_err(), "{scope}");
        }
    }
}

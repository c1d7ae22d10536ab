//! `gate …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use vault_store::scope::ScopeName;

use super::{UnlockArgs, scope};
use crate::credential_name::{ProviderName, SetName};
use crate::gate::ProjectName;

#[derive(Debug, Subcommand)]
pub(crate) enum GateCommand {
    /// Make a project's mirror, empty or from an upstream.
    Init(InitMirrorArgs),
    /// Fetch from the upstream, take over what is new, list every other change.
    Sync(SyncArgs),
    /// Say how a mirror and its upstream differ.
    Status(MirrorStatusArgs),
    /// The pushes that containers made, and those refused.
    Log(PushLogArgs),
    /// The tips that pushes and syncs threw away.
    Backups(BackupsArgs),
    /// Put a branch back to a backup.
    Restore(RestoreArgs),
    /// Remove old backups, and what unfinished pushes left.
    Prune(PruneArgs),
    /// git's way to an upstream credential; not for people.
    #[command(hide = true)]
    CredentialHelper(CredentialHelperArgs),
}

/// Which mirror.
#[derive(Clone, Debug, Args)]
pub(crate) struct MirrorArgs {
    /// The project: letters, digits, `.`, `_` and `-`.
    #[arg(value_parser = ProjectName::parse)]
    pub(crate) project: ProjectName,
    /// The directory of mirrors [default: `gate` in the state directory].
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) base: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl gate init web                                     an empty mirror
  terokctl gate init web --from https://github.com/me/web    with the vault's github credential
  terokctl gate init web --from git@github.com:me/web.git    with the SSH keys of scope `web`

No credential is ever written into the mirror's configuration, nor given to git as an argument.")]
pub(crate) struct InitMirrorArgs {
    #[command(flatten)]
    pub(crate) mirror: MirrorArgs,
    /// The upstream's URL: https, ssh, or a path.
    #[arg(long = "from", value_name = "URL")]
    pub(crate) upstream: Option<String>,
    /// The vault's credential for an https upstream [default: what its host is known for].
    #[arg(long, value_name = "PROVIDER", value_parser = ProviderName::parse, requires = "upstream")]
    pub(crate) credential: Option<ProviderName>,
    /// The set that credential is in.
    #[arg(long, value_name = "SET", default_value = "default", value_parser = SetName::parse)]
    pub(crate) set: SetName,
    /// Whose SSH keys an ssh upstream is shown [default: the project's name].
    #[arg(long, value_parser = scope, requires = "upstream")]
    pub(crate) scope: Option<ScopeName>,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl gate sync web                      new and fast-forwarded refs are taken over
  terokctl gate sync web --apply main         so is main, whatever happened to it; the old tip
                                              becomes a backup
  terokctl gate sync web --apply-all")]
pub(crate) struct SyncArgs {
    #[command(flatten)]
    pub(crate) mirror: MirrorArgs,
    /// Take over this pending change too: a branch's name, or `refs/…`.
    #[arg(long, value_name = "REF")]
    pub(crate) apply: Vec<String>,
    /// Take over every pending change.
    #[arg(long, conflicts_with = "apply")]
    pub(crate) apply_all: bool,
    /// Print a JSON array of all differences.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  terokctl gate status web\n  terokctl gate status web --json")]
pub(crate) struct MirrorStatusArgs {
    #[command(flatten)]
    pub(crate) mirror: MirrorArgs,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  terokctl gate log web\n  terokctl gate log web -n 100 --json")]
pub(crate) struct PushLogArgs {
    #[command(flatten)]
    pub(crate) mirror: MirrorArgs,
    /// How many of the last pushed refs to show.
    #[arg(short = 'n', long, default_value_t = 20)]
    pub(crate) lines: usize,
    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  terokctl gate backups web\n  terokctl gate backups web --json"
)]
pub(crate) struct BackupsArgs {
    #[command(flatten)]
    pub(crate) mirror: MirrorArgs,
    /// Print a JSON array.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl gate restore web main/20260102T030405Z-1f2e3d4c5b6a
  terokctl gate restore web main/20260102T030405Z-1f2e3d4c5b6a --to rescued

What the branch points at becomes a backup itself.")]
pub(crate) struct RestoreArgs {
    #[command(flatten)]
    pub(crate) mirror: MirrorArgs,
    /// The backup, as `terokctl gate backups` lists it.
    pub(crate) backup: String,
    /// The branch to put there [default: the one it was taken of].
    #[arg(long, value_name = "BRANCH")]
    pub(crate) to: Option<String>,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  terokctl gate prune web --dry-run\n  terokctl gate prune web --older-than 90"
)]
pub(crate) struct PruneArgs {
    #[command(flatten)]
    pub(crate) mirror: MirrorArgs,
    /// Remove backups older than this.
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    pub(crate) older_than: u32,
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CredentialHelperArgs {
    /// The only protocol and host that get an answer.
    #[arg(long = "for", value_name = "ORIGIN")]
    pub(crate) origin: String,
    /// What git wants: get, store or erase.
    pub(crate) operation: String,
}

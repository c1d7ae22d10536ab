//! `status`, `logs`, `audit`, `doctor`, `respawn`, `version`, `completions` and `man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;
use jiff::Timestamp;
use terok_shared::container::ContainerName;

use super::launch::container_name;
use crate::observe::since;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl status
  terokctl status web --json
  terokctl status --watch

A service is running unless something else is said: dormant (started by its first client),
starting, restarting, failed (it ended too often), given-up (it cannot use its part of the sidecar).
REQS counts since the supervisor started, from the audit file.
unsupervised: the container runs and its supervisor died; `terokctl respawn NAME` brings it back.")]
pub(crate) struct StatusArgs {
    /// One container, by its name or the beginning of its id [default: all].
    pub(crate) name: Option<String>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    /// Draw it again every second, until Ctrl-C.
    #[arg(long, short, conflicts_with = "json")]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl logs web
  terokctl logs web -f -n 20

Merges the hook's diary with the log of supervisor and services, of the container's latest run
under this name. Requests are in the audit: `terokctl audit`.")]
pub(crate) struct LogsArgs {
    /// The container's name, or the beginning of its id.
    pub(crate) name: String,
    /// Go on with what is written from now on, until Ctrl-C.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only the last N lines of what is there.
    #[arg(long, short = 'n', value_name = "N")]
    pub(crate) lines: Option<usize>,
    /// Print one JSON object per line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl audit --since 1h
  terokctl audit --container web --follow
  terokctl audit --json | jq 'select(.outcome != \"ok\")'

Counts requests, tunnels, signatures and pushes by container, credential and outcome; what was
refused comes first. Reads the audit file beside the default vault.")]
pub(crate) struct AuditArgs {
    /// Only what happened since: 90s, 15m, 2h, 7d ago, or a time like 2026-01-02T03:04:05Z.
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) since: Option<Timestamp>,
    /// Only this container's, by the name its tokens were made for.
    #[arg(long, value_name = "NAME")]
    pub(crate) container: Option<String>,
    /// Go on with each line as it is written, until Ctrl-C.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Print the lines themselves, one JSON object each.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl doctor
  terokctl doctor --fix
  terokctl -q doctor            only what is wrong

Exit status: 0 nothing is broken (there may be warnings), 1 something is, 2 wrong usage.
--fix ends trees whose container is gone, removes what dead supervisors left, and brings
supervisors back. It never touches a sidecar, a token, a credential or a configuration file.")]
pub(crate) struct DoctorArgs {
    /// Do what is safe, then look again.
    #[arg(long)]
    pub(crate) fix: bool,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  terokctl respawn web

For a container that runs without its supervisor, or whose supervisor has given a service up: that
one is ended first. One that is served is left as it is.")]
pub(crate) struct RespawnArgs {
    /// The container's name.
    #[arg(value_parser = container_name)]
    pub(crate) name: ContainerName,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl version
  terokctl version --verbose --json

With -v, --verbose: every program, and the versions of the formats they share.")]
pub(crate) struct VersionArgs {
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl completions bash > ~/.local/share/bash-completion/completions/terokctl
  terokctl completions fish > ~/.config/fish/completions/terokctl.fish
  terokctl completions zsh > ~/.zfunc/_terokctl")]
pub(crate) struct CompletionsArgs {
    /// Which shell's.
    pub(crate) shell: Shell,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  terokctl man ~/.local/share/man/man1")]
pub(crate) struct ManArgs {
    /// Where the pages go; the directory must be there.
    pub(crate) directory: PathBuf,
}

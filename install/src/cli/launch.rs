//! `prepare`, `run` and `cleanup`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use terok_shared::container::ContainerName;
use vault_store::scope::ScopeName;

use super::{UnlockArgs, scope};
use crate::credential_name::{ProviderName, SetName};
use crate::egress::Program;

const PREPARE_EXAMPLES: &str = "\
Examples:
  podman run $(terokctl prepare web --provider github) -it IMAGE
  terokctl prepare web --provider anthropic --project app --gate --init-mirror --json

One flag per line, quoted for a shell. Tokens are not among the flags: they are in the file that
--env-file names. The container finds the services as its variables say: TEROK_VAULT_SOCKET,
TEROK_SSH_SIGNER_SOCKET and TEROK_GATE_SOCKET, or TEROK_TOKEN_BROKER_PORT, TEROK_SSH_SIGNER_PORT
and TEROK_GATE_PORT of host.containers.internal; for each provider TEROK_<PROVIDER>_TOKEN and
TEROK_<PROVIDER>_BASE_URL, and what the provider's own clients read.
Where SELinux enforces, socket mode adds `--security-opt label=disable`: a container's label may
not connect to sockets of the host. Use --mode tcp to keep the label.";

const RUN_EXAMPLES: &str = "\
Examples:
  terokctl run web --provider github -- --rm -it IMAGE
  terokctl run web --provider anthropic --ssh --project app --gate -- -d IMAGE agent --all
  terokctl run web --token github=MY_GITHUB_TOKEN --loopback -- --rm -it IMAGE
  terokctl run web --forward-host-credentials codex --dummy-auth-file --loopback -- IMAGE codex

Everything after `--` goes to `podman run` as it is. Standard input and terminal are podman's.
Tokens reach podman in its environment, never in its arguments. After the container is gone,
`terokctl cleanup NAME` takes the launch back, with or without --rm.
What is lent by --token and --forward-host-credentials lies in the vault until then, in a set of the
launch's own; the container gets phantom tokens. A lent login is not renewed: it ends when it ends.
Sockets belong to the container's root, which is you; for an image with another user add
`--userns=keep-id` after `--`.

Exit status: podman's own; 1 when it was not started, 2 wrong usage.";

/// How a container reaches its services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Unix sockets in a directory that is mounted at /run/terok.
    Socket,
    /// Ports of the host's loopback; chooses the container's network.
    Tcp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Activation {
    Eager,
    /// An idle container then costs one process.
    OnDemand,
}

/// Where the supervisor lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Placement {
    /// A unit where the OS keyring may be asked, else a daemon.
    Auto,
    /// A process beside the container's.
    Daemon,
    /// A transient unit of your service manager (`systemctl --user`), if it answers.
    Unit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OciRuntime {
    Crun,
    Runc,
}

/// What a container is given, the same for `prepare` and `run`.
#[derive(Debug, Args)]
pub(crate) struct LaunchArgs {
    /// The container's name.
    #[arg(value_parser = container_name)]
    pub(crate) name: ContainerName,
    /// How the container reaches its services [default: services.mode of the configuration, else
    /// socket].
    #[arg(long, value_enum)]
    pub(crate) mode: Option<Mode>,
    /// The project: the gate's repository is ID.git.
    #[arg(long, value_name = "ID", value_parser = project)]
    pub(crate) project: Option<String>,
    /// Whose keys and tokens these are [default: the project, else `default`].
    #[arg(long, value_parser = scope)]
    pub(crate) scope: Option<ScopeName>,
    /// Give the use of this provider's credential; may be repeated.
    #[arg(long = "provider", value_name = "PROVIDER", value_parser = ProviderName::parse)]
    pub(crate) providers: Vec<ProviderName>,
    /// The credential set the providers' credentials are in.
    #[arg(long, value_name = "SET", default_value = "default", value_parser = SetName::parse)]
    pub(crate) set: SetName,
    /// Lend the value of a variable of this machine for this launch; may be repeated.
    // Looked at by the launch itself: an error of the command line's would quote the word, and
    // people type values there.
    #[arg(long = "token", value_name = "PROVIDER=HOST_VARIABLE")]
    pub(crate) tokens: Vec<String>,
    /// Lend the login of a program of this machine for this launch; may be repeated.
    #[arg(long, value_name = "PROGRAM", value_enum, value_delimiter = ',')]
    pub(crate) forward_host_credentials: Vec<Program>,
    /// Mount the credential file that Codex and Claude Code insist on, with no credential in it,
    /// below this home of the container's user [default: /root].
    #[arg(
        long,
        value_name = "HOME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "/root",
        value_parser = client_home
    )]
    pub(crate) dummy_auth_file: Option<PathBuf>,
    /// Give the use of the scope's SSH keys; with --loopback and a scope or project that has some,
    /// the default.
    #[arg(long)]
    pub(crate) ssh: bool,
    /// Give no SSH keys.
    #[arg(long, conflicts_with = "ssh")]
    pub(crate) no_ssh: bool,
    /// Give the project's repository, through the git gate.
    #[arg(long, requires = "project")]
    pub(crate) gate: bool,
    /// Make an empty bare repository where the project has none.
    #[arg(long, requires = "gate")]
    pub(crate) init_mirror: bool,
    /// Serve broker and gate on the container's own loopback too, ports 9419 and 9418: then its
    /// image needs no bridge, and the container no network.
    #[arg(long)]
    pub(crate) loopback: bool,
    /// Do not let the container start without its supervisor.
    #[arg(long)]
    pub(crate) required: bool,
    /// When services are started: with the container, or by their first client.
    #[arg(long, value_enum, default_value = "eager")]
    pub(crate) activation: Activation,
    /// Seconds without a client after which services that were started on demand leave again
    /// [default: 300].
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub(crate) leave_after: Option<u64>,
    /// Where the supervisor lives.
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) placement: Placement,
    /// The OCI runtime podman shall use [default: podman's own choice].
    #[arg(long, value_enum)]
    pub(crate) runtime: Option<OciRuntime>,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

#[derive(Debug, Args)]
#[command(after_help = PREPARE_EXAMPLES)]
pub(crate) struct PrepareArgs {
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
    /// Print one JSON object: the flags, and the variables with their values.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
    /// Options of `podman run`, the image and its command.
    #[arg(last = true, required = true, value_name = "PODMAN OPTIONS, IMAGE, COMMAND")]
    pub(crate) podman: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl cleanup web
  terokctl cleanup web --force      also when its sidecar is unreadable or its supervisor lives

Cleaning up again, or what was never prepared, is no error.")]
pub(crate) struct CleanupArgs {
    /// The container's name.
    #[arg(value_parser = container_name)]
    pub(crate) name: ContainerName,
    /// Go on although the supervisor lives or the sidecar is unreadable.
    #[arg(long)]
    pub(crate) force: bool,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) unlock: UnlockArgs,
}

/// podman's own rule (`[a-zA-Z0-9][a-zA-Z0-9_.-]*`) on top of ours.
pub(super) fn container_name(name: &str) -> Result<ContainerName, String> {
    let checked = ContainerName::parse(name).map_err(|why| why.to_string())?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(plain) {
        return Err(
            "podman takes letters, digits, `_`, `.` and `-`, a letter or digit first".into()
        );
    }
    Ok(checked)
}

/// Part of a volume's word, which has colons and commas of its own.
fn client_home(path: &str) -> Result<PathBuf, String> {
    match path.starts_with('/') && !path.contains([':', ',']) {
        true => Ok(path.into()),
        false => Err("expected an absolute path without colons and commas".to_owned()),
    }
}

/// What the gate takes for a repository's name.
fn project(id: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if id.is_empty() || matches!(id, "." | "..") || !id.chars().all(plain) {
        return Err("expected letters, digits, `.`, `_` and `-`".into());
    }
    Ok(id.to_owned())
}

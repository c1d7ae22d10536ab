//! `prepare`, `run` and `cleanup`.

use std::ffi::OsString;

use clap::{Args, ValueEnum};
use terok_shared::container::ContainerName;
use vault_store::scope::ScopeName;

use super::{UnlockArgs, scope};
use crate::credential_name::{ProviderName, SetName};

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

Everything after `--` goes to `podman run` as it is. Standard input, terminal and exit status are
podman's. Tokens reach podman in its environment, never in its arguments. After the container is
gone, `terokctl cleanup NAME` takes the launch back, with or without --rm.
Sockets belong to the container's root, which is you; for an image with another user add
`--userns=keep-id` after `--`.";

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
    /// How the container reaches its services.
    #[arg(long, value_enum, default_value = "socket")]
    pub(crate) mode: Mode,
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
    /// Give the use of the scope's SSH keys.
    #[arg(long)]
    pub(crate) ssh: bool,
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
#[command(after_help = "Cleaning up again, or what was never prepared, is no error.")]
pub(crate) struct CleanupArgs {
    /// The container's name.
    #[arg(value_parser = container_name)]
    pub(crate) name: ContainerName,
    /// Go on although the supervisor lives or the sidecar is unreadable.
    #[arg(long)]
    pub(crate) force: bool,
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

/// What the gate takes for a repository's name.
fn project(id: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if id.is_empty() || matches!(id, "." | "..") || !id.chars().all(plain) {
        return Err("expected letters, digits, `.`, `_` and `-`".into());
    }
    Ok(id.to_owned())
}

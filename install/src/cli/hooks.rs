//! `hooks …`.

use std::path::{Component, PathBuf};

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum HooksCommand {
    /// Write our hooks into an OCI bundle's config.json, for `crun run` and `runc run`.
    Inject(InjectArgs),
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  terokctl hooks inject /srv/web --sidecar ~/.local/share/terok/sandbox/sidecar/web.json\n  \
    crun run --bundle /srv/web web\n\n\
    Doing it again changes nothing. podman needs none of this: `terokctl setup` tells it."
)]
pub(crate) struct InjectArgs {
    /// The bundle's directory.
    pub(crate) bundle: PathBuf,
    /// The container's sidecar [default: what the bundle's annotation names].
    #[arg(long, value_name = "FILE")]
    pub(crate) sidecar: Option<PathBuf>,
    /// Let the hook accept sidecars below DIR only.
    #[arg(long, value_name = "DIR", value_parser = absolute)]
    pub(crate) only_below: Option<PathBuf>,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

fn absolute(path: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(path);
    // The hook would refuse it, and then do nothing.
    if path.is_absolute() && path.components().all(|part| part != Component::ParentDir) {
        Ok(path)
    } else {
        Err("is not an absolute path without `..`".to_owned())
    }
}

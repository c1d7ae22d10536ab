//! `setup` and `uninstall`.

use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl setup --dry-run
  terokctl setup
  terokctl setup --replace          instead of the Python package terok-sandbox

Everything is checked before anything is changed, and a step that fails takes back the ones before
it. At the end the hook is fired once, for a container that does not exist and with a vault that is
thrown away. Run it again after an upgrade: it changes only what is missing, and supervisors that
run go on. As root it is for the system, else for you.")]
pub(crate) struct SetupArgs {
    /// Set the hooks of the Python package terok-sandbox aside; uninstall puts them back.
    #[arg(long)]
    pub(crate) replace: bool,
    /// Say what would be changed, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not fire the hook at the end, as when an image is built.
    #[arg(long)]
    pub(crate) no_verify: bool,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl uninstall --dry-run
  terokctl uninstall
  terokctl uninstall --purge        vault, mirrors, logs and sidecars too, once you said `yes`")]
pub(crate) struct UninstallArgs {
    /// Say what would be changed, and change nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove the vault, mirrors, logs and sidecars, too. Asks first.
    #[arg(long)]
    pub(crate) purge: bool,
    /// With --purge: do not ask.
    #[arg(long, requires = "purge")]
    pub(crate) yes: bool,
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

//! `config …`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Every setting, its value, and who has set it.
    Show(ConfigShowArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  terokctl config show
  terokctl config show --json
  TEROK_CONFIG_FILE=./config.yml terokctl config show

An option of a command wins over a variable of the environment, that over a file, and that over the
default. Files: /etc/terok/config.yml, over it ~/.config/terok/config.yml; with TEROK_CONFIG_FILE
that one alone. They are the Python package's own; sections of other tools are passed over.")]
pub(crate) struct ConfigShowArgs {
    /// Print a JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

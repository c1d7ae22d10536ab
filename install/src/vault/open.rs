//! From an operator's words to an open vault.
//!
//! The passphrase comes from the file that was named, else from the tiers every supervisor asks
//! too, else from the operator at the terminal.

use std::fmt;
use std::path::Path;

use terok_shared::layout;
use terok_shared::secret::Secret;
use vault_store::Vault;
use vault_store::database::OpenError;
use vault_store::unlock::{Sources, Tier, UnlockError, resolve};

use crate::cli::UnlockArgs;
use crate::directories::Directories;
use crate::secret_source::{SecretError, Source, ask, can_ask};

const PASSPHRASE: &str = "vault passphrase";

#[derive(Debug)]
pub(crate) enum VaultError {
    /// No passphrase, and nobody to ask.
    Locked(UnlockError),
    /// `tier` had the passphrase that did not work.
    Open {
        why: OpenError,
        tier: Option<Tier>,
    },
    Passphrase(SecretError),
    /// Two things were to be read from standard input.
    StdinTwice,
}

/// Opens the operator's vault. The key derivation takes about 0.1 s.
///
/// # Errors
/// No vault, no passphrase, or not the right one.
pub(crate) fn open(directories: &Directories, unlock: &UnlockArgs) -> Result<Vault, VaultError> {
    open_with(&sources(directories, unlock), unlock)
}

/// Opens a vault that need not be this operator's default, such as a sidecar's.
///
/// # Errors
/// As `open`.
pub(crate) fn open_with(sources: &Sources, unlock: &UnlockArgs) -> Result<Vault, VaultError> {
    let path = &sources.db_path;
    if !path.exists() {
        // Sooner than a question for its passphrase.
        return Err(VaultError::Open {
            why: OpenError::Missing { path: path.clone() },
            tier: None,
        });
    }
    let (passphrase, tier) = passphrase(sources, unlock)?;
    Vault::open(path, &passphrase).map_err(|why| VaultError::Open { why, tier })
}

/// Where the operator's passphrase may be.
pub(crate) fn sources(directories: &Directories, unlock: &UnlockArgs) -> Sources {
    let db_path = directories.database();
    Sources {
        sealed_file: layout::sealed_passphrase_beside(&db_path),
        db_path,
        use_keyring: directories.preferences.use_keyring(unlock),
        session_directories: directories.session_passphrases(),
        passphrase_command: directories.preferences.passphrase_command(unlock),
    }
}

/// The passphrase for `vault init` and `unlock`: it is the operator's to give.
pub(super) fn given(source: &Source) -> Result<Secret<String>, SecretError> {
    source.line(PASSPHRASE)
}

/// The same, when it is a new one.
pub(super) fn given_anew(source: &Source) -> Result<Secret<String>, SecretError> {
    source.new_line(PASSPHRASE)
}

/// Refuses to read the passphrase and something else from one standard input.
pub(crate) fn refuse_stdin_twice(unlock: &UnlockArgs, other: &Source) -> Result<(), VaultError> {
    let passphrase = unlock.passphrase_file.as_deref().map(|file| Source::of_file(Some(file)));
    if passphrase.is_some_and(|source| source.takes_stdin()) && other.takes_stdin() {
        return Err(VaultError::StdinTwice);
    }
    Ok(())
}

/// The passphrase a vault is opened with, and the tier that had it, if it was one.
pub(super) fn passphrase(
    sources: &Sources,
    unlock: &UnlockArgs,
) -> Result<(Secret<String>, Option<Tier>), VaultError> {
    if let Some(file) = &unlock.passphrase_file {
        let given = Source::of_file(Some(file)).line(PASSPHRASE);
        return Ok((given.map_err(VaultError::Passphrase)?, None));
    }
    match resolve(sources) {
        Ok(unlocked) => Ok((unlocked.passphrase, Some(unlocked.tier))),
        Err(UnlockError::NoAnswer { .. }) if can_ask() => {
            Ok((ask(PASSPHRASE).map_err(VaultError::Passphrase)?, None))
        }
        Err(why) => Err(VaultError::Locked(why)),
    }
}

impl VaultError {
    /// Whether there is no database at all.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Open { why: OpenError::Missing { .. }, .. })
    }
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked(why) => why.fmt(f),
            Self::Open { why: OpenError::WrongPassphrase { path }, tier: None } => {
                wrong_passphrase(f, path)
            }
            Self::Open { why: OpenError::WrongPassphrase { path }, tier: Some(tier) } => write!(
                f,
                "open vault {}: the passphrase of the {tier} is not this vault's\nhint: {}",
                path.display(),
                way_out(*tier)
            ),
            Self::Open { why, .. } => why.fmt(f),
            Self::Passphrase(why) => why.fmt(f),
            Self::StdinTwice => f.write_str(
                "read standard input: it cannot be the passphrase and the secret at once\n\
                 hint: put one of them into a file",
            ),
        }
    }
}

/// What makes a tier have the right passphrase.
fn way_out(tier: Tier) -> &'static str {
    match tier {
        Tier::SealedFile => {
            "run `terokctl vault passphrase seal --passphrase-file FILE`, or remove the sealed file"
        }
        Tier::OsKeyring => "give the keyring's item this vault's passphrase",
        Tier::KernelKeyring | Tier::SessionFile => "run `terokctl vault unlock`",
        Tier::Command => "correct what the command prints",
    }
}

fn wrong_passphrase(f: &mut fmt::Formatter<'_>, path: &Path) -> fmt::Result {
    write!(
        f,
        "open vault {}: wrong passphrase, or the file is damaged\nhint: try again",
        path.display()
    )
}

impl std::error::Error for VaultError {}

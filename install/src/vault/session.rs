//! `vault unlock` and `lock`: the passphrase in memory for this login session.
//!
//! Kept in the kernel's user keyring and as a file in the runtime directory: supervisors of
//! rootless containers see only the file.

use terok_shared::secret::Secret;
use vault_store::Vault;
use vault_store::unlock::session_cache::{self, SessionCacheError};

use super::open::{VaultError, given};
use crate::Failure;
use crate::cli::PassphraseArgs;
use crate::directories::Directories;
use crate::output::print;
use crate::secret_source::Source;

/// A passphrase that does not open the vault is never kept.
pub(super) fn unlock(directories: &Directories, args: &PassphraseArgs) -> Result<(), Failure> {
    let path = directories.database();
    if !path.exists() {
        let why = vault_store::database::OpenError::Missing { path };
        return Err(VaultError::Open { why, tier: None }.into());
    }
    let passphrase =
        given(&Source::of_file(args.passphrase_file.as_deref())).map_err(VaultError::Passphrase)?;
    Vault::open(&path, &passphrase).map_err(|why| VaultError::Open { why, tier: None })?;
    print(&remember(directories, &passphrase)?)?;
    Ok(())
}

pub(super) fn lock(directories: &Directories) -> Result<(), Failure> {
    for directory in directories.session_passphrases() {
        session_cache::forget(&directory, &directories.database())?;
    }
    print("the passphrase is forgotten; supervisors that run keep their open vault")?;
    Ok(())
}

/// Keeps the passphrase wherever a supervisor may look; says where that is.
///
/// # Errors
/// It could be kept nowhere.
pub(super) fn remember(
    directories: &Directories,
    passphrase: &Secret<String>,
) -> Result<String, SessionCacheError> {
    let mut kept = Vec::new();
    let mut failed = Vec::new();
    for directory in directories.session_passphrases() {
        let backings = session_cache::remember(&directory, &directories.database(), passphrase)?;
        let file = format!("a file in {}", directory.display());
        for (name, outcome) in [
            ("the kernel keyring".to_owned(), backings.kernel_keyring),
            (file, backings.session_file),
        ] {
            match outcome {
                Ok(()) if !kept.contains(&name) => kept.push(name),
                Ok(()) => {}
                Err(why) => failed.push(format!("\nnote: not in {name}: {why}")),
            }
        }
    }
    Ok(format!("unlocked until logout, in {}{}", kept.join(" and "), failed.concat()))
}

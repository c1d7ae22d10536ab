//! `vault unlock` and `lock`: what opens the vault, in memory for this login session.
//!
//! That is the key derived from the passphrase: every reader of the cache takes it for one and is
//! spared the derivation. Kept in the kernel's user keyring and as a file in the runtime directory:
//! supervisors of rootless containers see only the file.

use serde_json::json;
use terok_shared::secret::Secret;
use vault_store::Vault;
use vault_store::unlock::session_cache::{self, SessionCacheError};

use super::open::{VaultError, given};
use crate::Failure;
use crate::cli::{LockArgs, VaultUnlockArgs};
use crate::directories::Directories;
use crate::output::tell;
use crate::secret_source::Source;

/// What does not open the vault is never kept.
pub(super) fn unlock(directories: &Directories, args: &VaultUnlockArgs) -> Result<(), Failure> {
    let path = directories.database();
    if !path.exists() {
        let why = vault_store::database::OpenError::Missing { path };
        return Err(VaultError::Open { why, tier: None }.into());
    }
    let passphrase =
        given(&Source::of_file(args.passphrase_file.as_deref())).map_err(VaultError::Passphrase)?;
    let (_, key) = Vault::open_deriving(&path, &passphrase)
        .map_err(|why| VaultError::Open { why, tier: None })?;
    let told = keep(directories, if args.keep_passphrase { &passphrase } else { &key })?;
    tell(args.json, &told, &json!({ "vault": directories.database(), "told": told }))?;
    Ok(())
}

pub(super) fn lock(directories: &Directories, args: &LockArgs) -> Result<(), Failure> {
    for directory in directories.session_passphrases() {
        session_cache::forget(&directory, &directories.database())?;
    }
    let told = "the passphrase is forgotten; supervisors that run keep their open vault";
    tell(args.json, told, &json!({ "vault": directories.database() }))?;
    Ok(())
}

/// Keeps what a passphrase of this vault comes to wherever a supervisor may look; says where that
/// is. Takes a key derivation, about 0.1 s.
///
/// # Errors
/// It could be kept nowhere, or does not open the vault.
pub(super) fn remember(
    directories: &Directories,
    passphrase: &Secret<String>,
) -> Result<String, Failure> {
    let (_, key) = Vault::open_deriving(&directories.database(), passphrase)?;
    Ok(keep(directories, &key)?)
}

fn keep(directories: &Directories, opens: &Secret<String>) -> Result<String, SessionCacheError> {
    let mut kept = Vec::new();
    let mut failed = Vec::new();
    for directory in directories.session_passphrases() {
        let backings = session_cache::remember(&directory, &directories.database(), opens)?;
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

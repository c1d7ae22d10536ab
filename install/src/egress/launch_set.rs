//! The credential set of one launch: its name, and the end of all that is in it.

use terok_shared::container::ContainerName;
use vault_store::Vault;
use vault_store::database::DatabaseError;

/// No set that an operator names can begin so: names have no slash.
const PREFIX: &str = "launch/";

/// What was in a launch's set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Forgotten {
    pub(crate) tokens: usize,
    pub(crate) credentials: usize,
}

/// The set of a container's launch.
pub(crate) fn set_of(container: &ContainerName) -> String {
    format!("{PREFIX}{container}")
}

/// The container whose launch a set belongs to, if it is such a set.
pub(crate) fn container_of(set: &str) -> Option<&str> {
    set.strip_prefix(PREFIX)
}

/// Revokes the tokens of a launch's set, then removes its credentials.
pub(crate) fn forget(
    vault: &mut Vault,
    container: &ContainerName,
) -> Result<Forgotten, DatabaseError> {
    let set = set_of(container);
    let mut forgotten = Forgotten::default();
    for stored in vault.tokens()? {
        if stored.info.credential_set == set {
            forgotten.tokens += usize::from(vault.revoke_token(stored.token.expose())?);
        }
    }
    for name in vault.credentials()? {
        if name.credential_set == set {
            forgotten.credentials += usize::from(vault.remove_credential(&set, &name.provider)?);
        }
    }
    Ok(forgotten)
}

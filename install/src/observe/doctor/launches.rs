//! What launches have borrowed and left in the vault: credentials of this machine, and the tokens
//! that open them.
//!
//! The sidecar is there before they are and goes after them, so without it nobody uses them.

use std::collections::BTreeMap;

use terok_shared::container::ContainerName;
use vault_store::Vault;
use vault_store::unlock::resolve;

use super::container_name;
use super::finding::{Finding, Mend};
use crate::cli::UnlockArgs;
use crate::directories::Directories;
use crate::egress;
use crate::observe::known::{self, Known, State};
use crate::output::count;
use crate::vault::sources;

const PLACE: &str = "launches";

pub(super) fn examine(directories: &Directories) -> Vec<Finding> {
    // Why it cannot be opened is told where the vault is.
    let Some(vault) = open(directories) else { return vec![] };
    let known = known::all(&directories.state).unwrap_or_default();
    let borrowed = borrowed(&vault);
    borrowed.iter().filter_map(|(name, providers)| finding(name, providers, &known)).collect()
}

/// Revokes and removes what a launch without a sidecar has left; looked at again, because another
/// launch may have taken the name.
pub(super) fn forget(
    directories: &Directories,
    container: &ContainerName,
) -> Result<String, String> {
    let mut vault = open(directories).ok_or("the vault cannot be opened")?;
    if directories.state.sidecar(container).symlink_metadata().is_ok() {
        return Err(format!("{container} has been launched anew"));
    }
    let gone = egress::forget(&mut vault, container).map_err(|why| why.to_string())?;
    Ok(format!(
        "{} revoked, {} removed",
        count(gone.tokens, "token"),
        count(gone.credentials, "credential")
    ))
}

fn open(directories: &Directories) -> Option<Vault> {
    let sources = sources(directories, &UnlockArgs::default());
    let unlocked = sources.db_path.exists().then(|| resolve(&sources).ok())??;
    Vault::open(&sources.db_path, &unlocked.passphrase).ok()
}

/// By container, the providers of what was borrowed for it.
fn borrowed(vault: &Vault) -> BTreeMap<String, Vec<String>> {
    let credentials = vault.credentials().unwrap_or_default().into_iter();
    let credentials = credentials.map(|name| (name.credential_set, name.provider));
    let tokens = vault.tokens().unwrap_or_default().into_iter().map(|stored| stored.info);
    let tokens = tokens.map(|info| (info.credential_set, info.provider));
    let mut borrowed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (set, provider) in credentials.chain(tokens) {
        let Some(name) = egress::container_of(&set) else { continue };
        let providers = borrowed.entry(name.to_owned()).or_default();
        if !providers.contains(&provider) {
            providers.push(provider);
        }
    }
    borrowed
}

fn finding(name: &str, providers: &[String], known: &[Known]) -> Option<Finding> {
    let container = container_name(name)?;
    let providers = providers.join(", ");
    let with_sidecar = |known: &&Known| known.name == name && known.sidecar.is_some();
    match known.iter().find(with_sidecar).map(Known::state) {
        None => Some(
            Finding::warning(
                PLACE,
                format!("what {name} borrowed for {providers} is in the vault without a launch"),
                "terokctl doctor --fix revokes and removes it",
            )
            .with(Mend::Forget { container }),
        ),
        Some(State::Stopped | State::Unusable) => Some(Finding::note(
            PLACE,
            format!(
                "{name} does not run; what it borrowed for {providers} is in the vault until \
                 terokctl cleanup {name}"
            ),
        )),
        Some(State::Serving | State::Unsupervised) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Known {
        let sidecar = Some(Err("not JSON".to_owned()));
        Known { name: name.to_owned(), sidecar, sidecar_age: None, runs: vec![] }
    }

    #[test]
    fn only_what_nobody_can_use_any_more_is_removed() {
        let providers = ["openai".to_owned()];
        let kept = finding("web", &providers, &[known("web")]).unwrap();
        assert!(kept.mend.is_none() && kept.what.contains("terokctl cleanup web"));
        let lost = finding("web", &providers, &[known("db")]).unwrap();
        assert!(matches!(lost.mend, Some(Mend::Forget { .. })) && lost.what.contains("openai"));
        assert!(finding("../x", &providers, &[]).is_none());
    }
}

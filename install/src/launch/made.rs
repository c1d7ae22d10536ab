//! What a launch has made so far, to be taken back when a later step fails.

use std::fs;
use std::path::PathBuf;

use terok_shared::secret::Secret;
use vault_store::Vault;

use crate::private_file;

/// One thing made.
#[derive(Debug)]
pub(super) enum Thing {
    File(PathBuf),
    Directory(PathBuf),
    Token(Secret<String>),
    Credential { set: String, provider: String },
}

/// In the order of making. The sidecar is first: it holds the name, so that nobody else makes
/// things under it before everything is taken back.
#[derive(Debug, Default)]
pub(super) struct Made(Vec<Thing>);

impl Made {
    pub(super) fn note(&mut self, thing: Thing) {
        self.0.push(thing);
    }

    /// Takes everything back, the last first. Returns what could not be, and why.
    pub(super) fn take_back(self, mut vault: Option<&mut Vault>) -> Vec<String> {
        let mut left = Vec::new();
        for thing in self.0.into_iter().rev() {
            let taken = match (&thing, &mut vault) {
                (Thing::File(path), _) => private_file::remove(path)
                    .map(drop)
                    .map_err(|why| format!("remove {}: {why}", path.display())),
                (Thing::Directory(path), _) => fs::remove_dir_all(path)
                    .map_err(|why| format!("remove {}: {why}", path.display())),
                (Thing::Token(token), Some(vault)) => vault
                    .revoke_token(token.expose())
                    .map(drop)
                    .map_err(|why| format!("revoke a token: {why}")),
                (Thing::Credential { set, provider }, Some(vault)) => vault
                    .remove_credential(set, provider)
                    .map(drop)
                    .map_err(|why| format!("remove the credential for {provider}: {why}")),
                (Thing::Token(_), None) => Err("revoke a token: the vault is closed".to_owned()),
                (Thing::Credential { provider, .. }, None) => {
                    Err(format!("remove the credential for {provider}: the vault is closed"))
                }
            };
            left.extend(taken.err());
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_inside_goes_before_what_it_is_in() {
        let dir = tempfile::tempdir().unwrap();
        let (outer, inner) = (dir.path().join("a"), dir.path().join("a/b"));
        fs::create_dir(&outer).unwrap();
        fs::write(&inner, "").unwrap();
        let mut made = Made::default();
        made.note(Thing::Directory(outer.clone()));
        made.note(Thing::File(inner));
        assert!(made.take_back(None).is_empty());
        assert!(!outer.exists());
    }

    #[test]
    fn what_cannot_be_taken_back_is_told_and_the_rest_still_goes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        fs::write(&file, "").unwrap();
        let mut made = Made::default();
        made.note(Thing::File(file.clone()));
        made.note(Thing::Token("terok-p-1".to_owned().into()));
        let left = made.take_back(None);
        assert_eq!(left.len(), 1);
        assert!(!left.concat().contains("terok-p-1") && !file.exists());
    }
}

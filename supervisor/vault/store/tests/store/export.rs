//! Stored keys as files again, judged by ssh-keygen.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::fixture::{Copy, secret};
use terok_shared::secret::Secret;
use vault_store::scope::{Comment, ScopeName};
use vault_store::ssh_key::export::{ExportError, export};
use vault_store::ssh_key::file::{ImportError, import};
use vault_store::ssh_key::generate::generate;
use vault_store::ssh_key::{KeyKind, KeyPair, PrivateKey};

fn stored(copy: &Copy, kind: KeyKind) -> (KeyPair, PrivateKey) {
    let pair = generate(kind, Comment::parse("deploy é").unwrap()).unwrap();
    let mut vault = copy.open();
    vault.add_ssh_key(&ScopeName::parse("app").unwrap(), &pair).unwrap();
    let key = vault.find_ssh_private_key(&pair.fingerprint()).unwrap().unwrap();
    (pair, key)
}

#[test]
fn an_exported_key_is_one_that_ssh_keygen_opens_with_its_passphrase_alone() {
    let copy = Copy::of(4);
    for kind in [KeyKind::Ed25519, KeyKind::Rsa] {
        let (pair, key) = stored(&copy, kind);
        let text = export(&key, &secret("it's of the key")).unwrap();
        let file = copy.directory().join(kind.as_str());
        fs::write(&file, text.expose()).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
        let public_half = |passphrase: &str| {
            let output = Command::new("ssh-keygen")
                .args(["-y", "-P", passphrase, "-f"])
                .arg(&file)
                .output()
                .unwrap();
            output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
        };
        let line = public_half("it's of the key").unwrap();
        assert_eq!(line.trim(), pair.public_line());
        assert_eq!(public_half(""), None);
        assert_eq!(public_half("wrong"), None);

        let bytes = || Secret::from(text.expose().clone().into_bytes());
        let back = import(&bytes(), Some(&secret("it's of the key"))).unwrap();
        assert_eq!(back.private_der().expose(), pair.private_der().expose());
        assert_eq!(back.comment(), pair.comment());
        assert!(matches!(import(&bytes(), None), Err(ImportError::Encrypted)));
    }
}

#[test]
fn no_key_leaves_without_a_passphrase() {
    let copy = Copy::of(4);
    let (_, key) = stored(&copy, KeyKind::Ed25519);
    assert!(matches!(export(&key, &secret("")), Err(ExportError::NoPassphrase)));
}

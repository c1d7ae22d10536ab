//! Databases of every schema version, as other programs left them.

use std::collections::BTreeMap;
use std::fs;
use std::thread;

use crate::fixture::{Copy, passphrase};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RsaKeyPair};
use vault_store::Vault;
use vault_store::credential::Kind;
use vault_store::ssh_key::{KeyKind, PrivateKey};

/// Whether the signer can load the private half, and it belongs to the public one.
fn signs(key: &PrivateKey) -> bool {
    let der = key.private_der.expose();
    match key.public.kind {
        KeyKind::Ed25519 => {
            let pair = Ed25519KeyPair::from_pkcs8(der).unwrap();
            key.public.public_blob.ends_with(pair.public_key().as_ref())
        }
        KeyKind::Rsa => {
            let pair = RsaKeyPair::from_pkcs8(der).unwrap();
            // RSAPublicKey (RFC 8017 § A.1.1) holds the modulus that ends the blob.
            let modulus = &key.public.public_blob[key.public.public_blob.len() - 384..];
            pair.public_key().as_ref().windows(384).any(|window| window == modulus)
        }
    }
}

#[test]
fn old_versions_get_der_keys_and_ssh_fingerprints() {
    for version in 0..4 {
        let copy = Copy::of(version);
        let keys = copy.open().ssh_private_keys("proj1").unwrap();
        let seen: Vec<_> = keys
            .iter()
            .map(|key| (key.public.comment.as_str(), &*key.public.fingerprint))
            .collect();
        // The key assigned first comes first, and is the default.
        assert_eq!(
            seen,
            [
                ("key-1", "SHA256:4A9jyZBOhnKZvcGQ6TRFbf5Gymb41AfYvYaVmWHD+G4"),
                ("key-0", "SHA256:fe85JkIjo8VPe+XqXJGH5Mau1EMFdK1OdKvJUFicyA8"),
            ],
            "v{version}"
        );
        for (key, byte) in keys.iter().zip([2u8, 1]) {
            assert!(key.private_der.expose().ends_with(&[byte; 32]), "v{version}");
            assert!(signs(key), "v{version}");
        }
    }
}

#[test]
fn old_versions_get_a_default_key() {
    for version in 0..4 {
        let assignments = Copy::of(version).open().ssh_key_assignments().unwrap();
        let seen: Vec<_> =
            assignments.iter().map(|a| (&*a.scope, &*a.key.comment, a.is_default)).collect();
        assert_eq!(seen, [("proj1", "key-1", true), ("proj1", "key-0", false)], "v{version}");
    }
}

#[test]
fn old_versions_get_provider_names_of_services() {
    for version in 0..4 {
        let copy = Copy::of(version);
        let vault = copy.open();
        let names = vault.credentials().unwrap();
        let providers: Vec<_> = names.iter().map(|name| name.provider.as_str()).collect();
        assert_eq!(providers, ["anthropic", "github", "openai", "openrouter"], "v{version}");
        let tokens = vault.tokens().unwrap();
        let granted: Vec<_> = tokens.iter().map(|token| token.info.provider.as_str()).collect();
        assert_eq!(granted, ["anthropic", "github", "openai", "openrouter"], "v{version}");
        assert!(tokens.iter().all(|token| token.info.subject == "task-1"), "v{version}");

        let read = |provider: &str| vault.credential("default", provider).unwrap().unwrap();
        assert_eq!(read("anthropic").kind(), Kind::OAuth);
        assert_eq!(read("anthropic").secret().unwrap().expose(), "at-claude");
        assert_eq!(read("anthropic").refresh_token().unwrap().expose(), "rt-claude");
        assert_eq!(read("openai").kind(), Kind::OAuth);
        assert_eq!(read("github").secret().unwrap().expose(), "gh-secret");
        assert_eq!(read("openrouter").secret().unwrap().expose(), "or-secret");
    }
}

#[test]
fn migrating_at_once_happens_once() {
    for version in 0..4 {
        let copy = Copy::of(version);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(copy.open().ssh_keys("proj1").unwrap().len(), 2));
            }
        });
    }
}

#[test]
fn a_taken_provider_name_leaves_the_old_row_as_it_is() {
    let copy = Copy::of(2);
    let connection = rusqlite::Connection::open(copy.path()).unwrap();
    connection.pragma_update(None, "key", passphrase().expose()).unwrap();
    connection
        .execute_batch("INSERT INTO credentials VALUES ('default', 'openai', '{\"key\":\"new\"}')")
        .unwrap();
    drop(connection);
    let vault = copy.open();
    let read = |provider: &str| vault.credential("default", provider).unwrap().unwrap();
    assert_eq!(read("openai").secret().unwrap().expose(), "new");
    assert_eq!(read("codex").secret().unwrap().expose(), "at-codex");
}

#[test]
fn an_old_key_that_cannot_be_read_leaves_the_database_as_it_was() {
    let copy = Copy::of(0);
    let connection = rusqlite::Connection::open(copy.path()).unwrap();
    connection.pragma_update(None, "key", passphrase().expose()).unwrap();
    connection.execute("UPDATE ssh_keys SET private_pem = x'2d2d' WHERE id = 2", ()).unwrap();
    let error = Vault::open(&copy.path(), &passphrase()).unwrap_err().to_string();
    assert!(error.contains("ssh key 2: "), "{error}");
    let (version, columns): (i64, i64) = connection
        .query_row(
            "SELECT (SELECT user_version FROM pragma_user_version),
                    (SELECT count(*) FROM pragma_table_info('ssh_keys') WHERE name='private_pem')",
            (),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert_eq!((version, columns), (0, 1));
}

#[test]
fn tokens_of_the_current_version_resolve() {
    let vault_of = Copy::of(4);
    let vault = vault_of.open();
    let text = fs::read_to_string(crate::fixture::file("v4.tokens.json")).unwrap();
    let tokens: BTreeMap<String, String> = serde_json::from_str(&text).unwrap();
    assert_eq!(tokens.len(), 4);
    for (provider, token) in tokens {
        let info = vault.token(&token).unwrap().unwrap();
        assert_eq!((&*info.scope, &*info.subject), ("proj1", "bench"));
        assert_eq!(info.provider, provider);
    }
    let fake = vault.credential("default", "fake").unwrap().unwrap();
    assert_eq!(fake.secret().unwrap().expose(), "REAL-SECRET-0123456789");
}

#[test]
fn keys_of_the_current_version_are_those_of_the_public_key_file() {
    let copy = Copy::of(4);
    let vault = copy.open();
    let lines: Vec<_> =
        vault.ssh_keys("proj1").unwrap().iter().map(|key| key.public_line()).collect();
    let expected = fs::read_to_string(crate::fixture::file("v4.ssh-public-keys")).unwrap();
    assert_eq!(lines, expected.lines().collect::<Vec<_>>());
    assert!(vault.ssh_private_keys("proj1").unwrap().iter().all(signs));
}

//! Credentials, keys and tokens as they are written, changed and removed.

use std::thread;

use crate::fixture::{Copy, secret, token_info};
use vault_store::Vault;
use vault_store::credential::{Credential, CredentialError, KeyType};
use vault_store::scope::{Comment, ScopeName};
use vault_store::ssh_key::generate::generate;
use vault_store::ssh_key::{KeyId, KeyKind, KeyPair, SshKeyError};
use vault_store::token::{StoredToken, TokenError};

fn scope(name: &str) -> ScopeName {
    ScopeName::parse(name).unwrap()
}

fn pair(comment: &str) -> KeyPair {
    generate(KeyKind::Ed25519, Comment::parse(comment).unwrap()).unwrap()
}

fn comments(vault: &Vault, scope: &str) -> Vec<String> {
    vault.ssh_keys(scope).unwrap().into_iter().map(|key| key.comment).collect()
}

#[test]
fn a_rewritten_credential_keeps_unknown_members() {
    let copy = Copy::of(3);
    let mut vault = copy.open();
    let changed = vault
        .change_credential("default", "anthropic", |login| {
            login.refreshed(&secret("at-2"), Some(&secret("rt-2")), 99);
        })
        .unwrap();
    assert!(changed);
    let connection = rusqlite::Connection::open(copy.path()).unwrap();
    connection.pragma_update(None, "key", crate::fixture::passphrase().expose()).unwrap();
    let text: String = connection
        .query_row("SELECT data FROM credentials WHERE provider='anthropic'", (), |row| row.get(0))
        .unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&text).unwrap(),
        serde_json::json!({"type":"oauth","access_token":"at-2","refresh_token":"rt-2",
                           "expires_at":99,"scopes":["a","b"]})
    );
}

#[test]
fn credentials_are_put_replaced_and_removed() {
    let copy = Copy::of(4);
    let mut vault = copy.open();
    for key in ["one", "two"] {
        let credential = Credential::key(KeyType::ApiKey, &secret(key));
        vault.put_credential("other", "api", &credential).unwrap();
        let stored = vault.credential("other", "api").unwrap().unwrap();
        assert_eq!(stored.secret().unwrap().expose(), key);
    }
    assert_eq!(vault.credentials().unwrap().len(), 4);
    assert!(vault.remove_credential("other", "api").unwrap());
    assert!(!vault.remove_credential("other", "api").unwrap());
    assert!(vault.credential("other", "api").unwrap().is_none());
    assert!(!vault.change_credential("other", "api", |_| panic!("there is none")).unwrap());
}

#[test]
fn a_malformed_credential_is_named_and_not_quoted() {
    let copy = Copy::of(4);
    let vault = copy.open();
    let connection = rusqlite::Connection::open(copy.path()).unwrap();
    connection.pragma_update(None, "key", crate::fixture::passphrase().expose()).unwrap();
    connection.execute("INSERT INTO credentials VALUES ('s', 'p', '\"hunter2\"')", ()).unwrap();
    let error = vault.credential("s", "p").unwrap_err();
    assert!(matches!(error, CredentialError::Malformed { .. }));
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
}

#[test]
fn the_first_key_of_a_scope_is_its_default_until_another_is_chosen() {
    let copy = Copy::of(4);
    let mut vault = copy.open();
    let (a, b) = (pair("a"), pair("b"));
    let first = vault.add_ssh_key(&scope("new"), &a).unwrap();
    let second = vault.add_ssh_key(&scope("new"), &b).unwrap();
    assert_eq!(comments(&vault, "new"), ["a", "b"]);
    vault.set_default_ssh_key(&scope("new"), second.id).unwrap();
    assert_eq!(comments(&vault, "new"), ["b", "a"]);
    assert!(vault.unassign_ssh_key(&scope("new"), second.id).unwrap());
    assert_eq!(comments(&vault, "new"), ["a"]);
    assert!(
        vault.ssh_key_assignments().unwrap().iter().any(|a| a.is_default && a.key.id == first.id)
    );
    assert!(vault.find_ssh_key(&b.fingerprint()).unwrap().is_none());
}

#[test]
fn a_known_key_is_shared_not_stored_again() {
    let copy = Copy::of(4);
    let mut vault = copy.open();
    let key = pair("mine");
    let first = vault.add_ssh_key(&scope("a"), &key).unwrap();
    assert!(!first.was_known && !first.was_assigned);
    let second = vault.add_ssh_key(&scope("b"), &key).unwrap();
    assert!(second.was_known && !second.was_assigned);
    assert_eq!(first.id, second.id);
    assert!(vault.add_ssh_key(&scope("b"), &key).unwrap().was_assigned);
    assert!(!vault.assign_ssh_key(&scope("b"), first.id).unwrap());
    vault.unassign_ssh_key(&scope("a"), first.id).unwrap();
    assert_eq!(comments(&vault, "b"), ["mine"]);
    assert!(vault.remove_ssh_key(first.id).unwrap());
    assert!(!vault.remove_ssh_key(first.id).unwrap());
    assert!(comments(&vault, "b").is_empty());
}

#[test]
fn a_private_key_is_read_only_through_a_scope_that_has_it() {
    let copy = Copy::of(4);
    let mut vault = copy.open();
    let key = pair("mine");
    vault.add_ssh_key(&scope("a"), &key).unwrap();
    let found = vault.ssh_private_key("a", key.public_blob()).unwrap().unwrap();
    assert_eq!(found.private_der.expose(), key.private_der().expose());
    assert!(vault.ssh_private_key("proj1", key.public_blob()).unwrap().is_none());
}

#[test]
fn unknown_keys_and_reserved_scopes_are_refused() {
    let copy = Copy::of(4);
    let mut vault = copy.open();
    let unknown = KeyId(4711);
    assert!(matches!(vault.assign_ssh_key(&scope("a"), unknown), Err(SshKeyError::Unknown { .. })));
    assert!(matches!(
        vault.set_default_ssh_key(&scope("proj1"), unknown),
        Err(SshKeyError::NotAssigned { .. })
    ));
    assert_eq!(comments(&vault, "proj1"), ["bench-ed25519", "bench-rsa"]);
    assert!(matches!(
        vault.add_ssh_key(&scope("%host"), &pair("x")),
        Err(SshKeyError::Reserved { .. })
    ));
}

#[test]
fn tokens_are_minted_looked_up_and_revoked() {
    let copy = Copy::of(4);
    let mut vault = copy.open();
    let info = token_info("fake");
    let (one, two) = (vault.mint_token(&info).unwrap(), vault.mint_token(&info).unwrap());
    assert_eq!(vault.token(one.expose()).unwrap(), Some(info.clone()));
    assert!(vault.revoke_token(one.expose()).unwrap());
    assert!(!vault.revoke_token(one.expose()).unwrap());
    assert_eq!(vault.token(one.expose()).unwrap(), None);
    assert_eq!(vault.revoke_subject("other", &info.subject).unwrap(), 0);
    assert_eq!(vault.revoke_subject(&info.scope, &info.subject).unwrap(), 1);
    assert_eq!(vault.token(two.expose()).unwrap(), None);
    for never_made in ["", "terok-p-", "' OR 1=1 --", "a\0b"] {
        assert_eq!(vault.token(never_made).unwrap(), None);
    }
}

#[test]
fn tokens_that_were_minted_elsewhere_are_stored_all_or_none() {
    let copy = Copy::of(4);
    let mut vault = copy.open();
    let stored =
        |token: &str, provider| StoredToken { token: secret(token), info: token_info(provider) };
    vault.put_tokens(&[stored("one", "fake"), stored("two", "fakekey")]).unwrap();
    assert_eq!(vault.token("two").unwrap().unwrap(), token_info("fakekey"));
    let before = vault.tokens().unwrap().len();
    vault.put_tokens(&[stored("three", "fake"), stored("one", "fakekey")]).unwrap_err();
    assert_eq!(vault.tokens().unwrap().len(), before);
    assert_eq!(vault.token("one").unwrap().unwrap(), token_info("fake"));
    let mut misplaced = stored("four", "fake");
    misplaced.info.scope = "a/b".into();
    assert!(matches!(vault.put_tokens(&[misplaced]), Err(TokenError::Scope(_))));
}

#[test]
fn a_token_for_a_malformed_scope_is_not_made() {
    let copy = Copy::of(4);
    let mut vault = copy.open();
    let mut info = token_info("fake");
    info.scope = "../x".to_owned();
    assert!(matches!(vault.mint_token(&info), Err(TokenError::Scope(_))));
    info.scope.clear();
    vault.mint_token(&info).unwrap();
}

#[test]
fn concurrent_writers_lose_nothing() {
    const WRITERS: usize = 4;
    const TOKENS: usize = 50;
    let copy = Copy::of(4);
    let counter = Credential::parse(r#"{"key":"k","expires_at":0}"#).unwrap();
    copy.open().put_credential("default", "counter", &counter).unwrap();
    thread::scope(|threads| {
        for writer in 0..WRITERS {
            let copy = &copy;
            threads.spawn(move || {
                let mut vault = copy.open();
                let mut info = token_info("fake");
                info.subject = format!("writer-{writer}");
                for _ in 0..TOKENS {
                    vault.mint_token(&info).unwrap();
                    vault
                        .change_credential("default", "counter", |credential| {
                            let count = credential.expires_at().unwrap();
                            credential.refreshed(&secret("a"), None, count + 1);
                        })
                        .unwrap();
                }
            });
        }
    });
    let mut vault = copy.open();
    for writer in 0..WRITERS {
        assert_eq!(vault.revoke_subject("proj1", &format!("writer-{writer}")).unwrap(), TOKENS);
    }
    let counter = vault.credential("default", "counter").unwrap().unwrap();
    assert_eq!(counter.expires_at(), Some((WRITERS * TOKENS) as i64));
}

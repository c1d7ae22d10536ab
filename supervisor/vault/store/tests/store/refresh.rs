//! Refresh tokens that are being spent, were spent, or were refused.

use vault_store::Vault;
use vault_store::credential::{Credential, CredentialName};
use vault_store::refresh::{Remembered, Renewal, TokenDigest};

use crate::fixture::{Copy, secret};

fn name() -> CredentialName {
    CredentialName { credential_set: "default".into(), provider: "p".into() }
}

fn digest(token: &str) -> TokenDigest {
    TokenDigest::of(&secret(token))
}

/// A vault with a login whose refresh token is `r1`.
fn vault(copy: &Copy) -> Vault {
    let mut vault = copy.open();
    let login = Credential::parse(
        r#"{"type":"oauth","access_token":"a1","refresh_token":"r1","scopes":["x"]}"#,
    );
    vault.put_credential("default", "p", &login.unwrap()).unwrap();
    vault
}

fn access_token(vault: &Vault) -> String {
    vault.credential("default", "p").unwrap().unwrap().secret().unwrap().expose().clone()
}

#[test]
fn an_attempt_is_remembered_until_its_outcome() {
    let copy = Copy::of(4);
    let mut vault = vault(&copy);
    assert_eq!(vault.remembered(&name(), &digest("r1")).unwrap(), Remembered::Nothing);
    assert!(vault.begin_refresh(&name(), &digest("r1"), 77).unwrap());
    let other = copy.open();
    assert_eq!(
        other.remembered(&name(), &digest("r1")).unwrap(),
        Remembered::Spending { since: 77 }
    );
    assert_eq!(other.remembered(&name(), &digest("r0")).unwrap(), Remembered::Nothing);
    let stored = vault.renew(&name(), &digest("r1"), &secret("a2"), Some(&secret("r2")), 99);
    assert_eq!(stored.unwrap(), Renewal::Stored);
    assert_eq!(access_token(&other), "a2");
    assert_eq!(other.remembered(&name(), &digest("r1")).unwrap(), Remembered::Nothing);
    let login = other.credential("default", "p").unwrap().unwrap();
    assert_eq!(
        (login.refresh_token().unwrap().expose().as_str(), login.expires_at()),
        ("r2", Some(99))
    );
    assert!(!vault.begin_refresh(&name(), &digest("r1"), 80).unwrap(), "it was spent meanwhile");
    assert_eq!(other.remembered(&name(), &digest("r1")).unwrap(), Remembered::Nothing);
    assert!(vault.begin_refresh(&name(), &digest("r2"), 80).unwrap());
    vault.abandon_refresh(&name()).unwrap();
    assert_eq!(other.remembered(&name(), &digest("r2")).unwrap(), Remembered::Nothing);
}

#[test]
fn a_login_made_meanwhile_is_not_overwritten() {
    let copy = Copy::of(4);
    let mut vault = vault(&copy);
    let spent = vault.renew(&name(), &digest("r0"), &secret("a2"), None, 99).unwrap();
    assert_eq!(spent, Renewal::Superseded);
    assert_eq!(access_token(&vault), "a1");
}

#[test]
fn a_refusal_counts_for_its_own_token_alone() {
    let copy = Copy::of(4);
    let mut vault = vault(&copy);
    assert!(vault.refused_logins().unwrap().is_empty());
    vault.refuse_refresh(&name(), &digest("r1"), "invalid_grant\x1b[2J now", 5).unwrap();
    let refused = vault.refused_logins().unwrap();
    assert_eq!((refused[0].reason.as_str(), refused[0].at), ("invalid_grant[2Jnow", 5));
    assert_eq!(vault.remembered(&name(), &digest("r1")).unwrap(), Remembered::Refused);
    vault
        .change_credential("default", "p", |login| {
            login.refreshed(&secret("a9"), Some(&secret("r9")), 99);
        })
        .unwrap();
    assert!(vault.refused_logins().unwrap().is_empty());
    assert_eq!(vault.remembered(&name(), &digest("r9")).unwrap(), Remembered::Nothing);
}

#[test]
fn our_tables_leave_the_version_as_it_was() {
    let copy = Copy::of(4);
    let mut vault = vault(&copy);
    vault.refuse_refresh(&name(), &digest("r1"), "invalid_grant", 5).unwrap();
    let connection = rusqlite::Connection::open(copy.path()).unwrap();
    connection.pragma_update(None, "key", crate::fixture::passphrase().expose()).unwrap();
    let version: i64 = connection.query_row("PRAGMA user_version", (), |row| row.get(0)).unwrap();
    assert_eq!(version, 4);
}

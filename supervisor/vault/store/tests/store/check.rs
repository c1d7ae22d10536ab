//! What a check finds, one fault at a time.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};

use crate::fixture::{Copy, passphrase, token_info};
use vault_store::database::{Finding, check_files};

fn raw(copy: &Copy) -> rusqlite::Connection {
    let connection = rusqlite::Connection::open(copy.path()).unwrap();
    connection.pragma_update(None, "key", passphrase().expose()).unwrap();
    connection
}

#[test]
fn a_sound_vault_has_no_findings() {
    for version in 0..=4 {
        let copy = Copy::of(version);
        assert_eq!(copy.open().check(), [], "v{version}");
    }
}

#[test]
fn a_flipped_bit_is_found_on_its_page() {
    let copy = Copy::of(4);
    let mut vault = copy.open();
    for _ in 0..200 {
        vault.mint_token(&token_info("fake")).unwrap();
    }
    drop(vault);
    let vault = copy.open();
    let file = OpenOptions::new().read(true).write(true).open(copy.path()).unwrap();
    let last_page = file.metadata().unwrap().len() - 4096;
    let mut byte = [0];
    file.read_exact_at(&mut byte, last_page + 100).unwrap();
    file.write_all_at(&[byte[0] ^ 1], last_page + 100).unwrap();
    let findings = vault.check();
    let page = last_page / 4096 + 1;
    let named = |finding: &Finding| matches!(finding, Finding::Page(line) if line.contains(&format!("page {page}")));
    assert!(findings.iter().any(named), "{findings:?}");
}

#[test]
fn rows_that_cannot_be_used_are_named_and_not_quoted() {
    let copy = Copy::of(4);
    let vault = copy.open();
    let raw = raw(&copy);
    raw.execute_batch(
        "PRAGMA foreign_keys = OFF;
         INSERT INTO credentials VALUES ('s', 'broken', '\"hunter2\"'),
                                        ('s', 'hollow', '{\"type\":\"oauth\",\"key\":\"hunter2\"}');
         INSERT INTO ssh_key_assignments (scope, key_id) VALUES ('x', 4711);
         INSERT INTO ssh_keys (key_type, private_der, public_blob, fingerprint)
             VALUES ('ed25519', x'00', x'00', 'SHA256:odd');
         UPDATE ssh_keys SET private_der = (SELECT private_der FROM ssh_keys
             WHERE key_type = 'ed25519' ORDER BY id LIMIT 1) WHERE key_type = 'rsa';",
    )
    .unwrap();
    let findings: Vec<String> = vault.check().iter().map(Finding::to_string).collect();
    for part in [
        "a row of ssh_key_assignments names one of ssh_keys that is not there",
        "credential for broken of set s: credential is not a JSON object",
        "credential for hollow of set s: it has no value",
        "ssh key SHA256:odd: ",
        "public and private key do not belong together",
    ] {
        assert!(findings.iter().any(|line| line.contains(part)), "{part} not in {findings:?}");
    }
    assert!(!findings.concat().contains("hunter2"), "{findings:?}");
}

#[test]
fn files_open_to_others_are_found_before_they_are_tightened() {
    let copy = Copy::of(4);
    fs::set_permissions(copy.directory(), Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(copy.path(), Permissions::from_mode(0o600)).unwrap();
    assert_eq!(check_files(&copy.path()), []);
    fs::set_permissions(copy.path(), Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(copy.directory(), Permissions::from_mode(0o770)).unwrap();
    let findings = check_files(&copy.path());
    assert!(
        matches!(
            findings[..],
            [Finding::Mode { mode: 0o640, .. }, Finding::Mode { mode: 0o770, .. }]
        ),
        "{findings:?}"
    );
    copy.open();
    assert_eq!(check_files(&copy.path()).len(), 1);
}

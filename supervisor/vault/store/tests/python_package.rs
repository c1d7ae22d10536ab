//! The same files in the hands of the Python package: what we wrote opens there, what it wrote
//! opens here.
//!
//! Runs when `TEROK_TEST_PYTHON` names an interpreter that can import `terok_sandbox` 0.6.0:
//! `python3 -m venv V && V/bin/pip install terok-sandbox==0.6.0`, then `V/bin/python`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "store/fixture.rs"]
mod fixture;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use fixture::{Copy, passphrase, secret, token_info};
use serde_json::{Value, json};
use vault_store::Vault;
use vault_store::credential::{Credential, KeyType};
use vault_store::scope::{Comment, ScopeName};
use vault_store::ssh_key::KeyKind;
use vault_store::ssh_key::generate::generate;
use vault_store::unlock::{Sources, Tier, resolve, session_cache};

/// Everything the package sees in a database. Each private key is loaded, and its public half
/// compared with the stored one.
const READ: &str = r#"
import base64, json, sys
from pathlib import Path
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key
from terok_sandbox.vault.store.db import CredentialDB
ask = json.load(sys.stdin)
db = CredentialDB(Path(ask["path"]), passphrase=ask["passphrase"])
def key(record):
    public = load_der_private_key(record.private_der, password=None).public_key()
    line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split()[1]
    assert base64.b64decode(line) == record.public_blob
    return db.get_ssh_public_key(record.id) + " " + record.fingerprint
print(json.dumps({
    "credentials": {s: {p: db.load_credential(s, p) for p in db.list_credentials(s)}
                    for s in db.list_credential_sets()},
    "keys": {s: [key(r) for r in db.load_ssh_keys_for_scope(s)]
             for s in db.list_scopes_with_ssh_keys()},
    "defaults": db.list_ssh_key_defaults(),
    "tokens": sorted([t["token"], t["scope"], t["subject"], t["credential_set"], t["provider"]]
                     for t in db.list_tokens()),
}))
"#;

/// The package writes one row of each table into a database of ours.
const WRITE: &str = r#"
import json, sys
from pathlib import Path
from terok_sandbox.vault.store.db import CredentialDB
from terok_sandbox.vault.ssh.keypair import generate_keypair
ask = json.load(sys.stdin)
db = CredentialDB(Path(ask["path"]), passphrase=ask["passphrase"])
db.store_credential("default", "theirs", {"type": "oauth", "access_token": "at", "ü": [1, 2.5]})
pair = generate_keypair("ed25519", comment="theirs")
db.assign_ssh_key("shared", db.store_ssh_key(
    pair.key_type, pair.private_der, pair.public_blob, pair.comment, pair.fingerprint))
print(json.dumps({"token": db.create_token("shared", "c1", "default", "theirs"),
                  "line": pair.public_line}))
"#;

/// The package's session file: what it finds, then what it leaves.
const SESSION_FILE: &str = r#"
import json, sys
from terok_sandbox.vault.store import session_file
ask = json.load(sys.stdin)
found = session_file.load(ask["path"])
assert session_file.store("by the package", ask["path"])
print(json.dumps(found))
"#;

/// The package's kernel keyring cache, if the machine has one.
const KEYRING: &str = r#"
import json, sys
from terok_sandbox.vault.store import kernel_keyring
ask = json.load(sys.stdin)
reason = kernel_keyring.unavailable_reason()
found = kernel_keyring.load(ask["path"])
stored = reason is None and kernel_keyring.store("by the package", ask["path"])
print(json.dumps({"reason": reason, "found": found, "stored": stored}))
"#;

/// Runs a script, or says that it was skipped.
fn python(script: &str, ask: &Value, runtime_dir: Option<&Path>) -> Option<Value> {
    let Some(interpreter) = std::env::var_os("TEROK_TEST_PYTHON") else {
        println!("skipped: TEROK_TEST_PYTHON names no interpreter with terok_sandbox");
        return None;
    };
    let mut command = Command::new(interpreter);
    command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    if let Some(directory) = runtime_dir {
        command.env("XDG_RUNTIME_DIR", directory);
    }
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(ask.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the script failed");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn read(copy: &Copy, passphrase: &str) -> Option<Value> {
    let ask = json!({"path": copy.path(), "passphrase": passphrase});
    python(READ, &ask, None)
}

/// What our side says of the same database, in the words of `READ`.
fn ours(vault: &Vault) -> Value {
    let mut ours = json!({"keys": {}, "defaults": {}});
    for assignment in vault.ssh_key_assignments().unwrap() {
        let line = format!("{} {}", assignment.key.public_line(), assignment.key.fingerprint);
        let keys = ours["keys"].as_object_mut().unwrap();
        keys.entry(&assignment.scope)
            .or_insert(json!([]))
            .as_array_mut()
            .unwrap()
            .push(line.into());
        if assignment.is_default {
            ours["defaults"][&assignment.scope] = assignment.key.id.0.into();
        }
    }
    let mut tokens: Vec<_> = vault.tokens().unwrap();
    tokens.sort_by(|a, b| a.token.expose().cmp(b.token.expose()));
    ours["tokens"] = tokens
        .iter()
        .map(|token| {
            let info = &token.info;
            json!([
                token.token.expose(),
                info.scope,
                info.subject,
                info.credential_set,
                info.provider
            ])
        })
        .collect();
    ours
}

fn assert_same(vault: &Vault, theirs: &Value) {
    let ours = ours(vault);
    for part in ["keys", "defaults", "tokens"] {
        assert_eq!(ours[part], theirs[part], "{part}");
    }
    for name in vault.credentials().unwrap() {
        let credential = vault.credential(&name.credential_set, &name.provider).unwrap().unwrap();
        let members = &theirs["credentials"][&name.credential_set][&name.provider];
        let secret = ["access_token", "token", "key"].map(|member| &members[member]);
        let found = credential.secret().unwrap();
        assert!(secret.iter().any(|text| text.as_str() == Some(found.expose())), "{name:?}");
    }
}

#[test]
fn migrated_databases_read_the_same_there() {
    for version in 0..=4 {
        let copy = Copy::of(version);
        let vault = copy.open();
        let Some(theirs) = read(&copy, passphrase().expose()) else { return };
        assert_same(&vault, &theirs);
        if version < 4 {
            let login = &theirs["credentials"]["default"]["anthropic"];
            assert_eq!(login["scopes"], json!(["a", "b"]), "v{version}");
        }
    }
}

#[test]
fn databases_of_ours_read_the_same_there_and_back() {
    const OURS: &str = "it's \"ours\" – é;";
    let copy = Copy::absent();
    let mut vault = Vault::create(&copy.path(), &secret(OURS)).unwrap();
    let scope = ScopeName::parse("shared").unwrap();
    for kind in [KeyKind::Ed25519, KeyKind::Rsa] {
        let pair = generate(kind, Comment::parse(&format!("ours {kind} é")).unwrap()).unwrap();
        vault.add_ssh_key(&scope, &pair).unwrap();
    }
    for (provider, credential) in [
        ("api", Credential::key(KeyType::ApiKey, &secret("k ü"))),
        ("pat", Credential::key(KeyType::PersonalAccessToken, &secret("t"))),
        ("login", Credential::oauth(&secret("at"), Some(&secret("rt")), Some(1_800_000_000))),
    ] {
        vault.put_credential("default", provider, &credential).unwrap();
        vault.mint_token(&token_info(provider)).unwrap();
    }
    let Some(theirs) = read(&copy, OURS) else { return };
    assert_same(&vault, &theirs);
    assert_eq!(
        theirs["credentials"]["default"]["login"],
        json!({"type": "oauth", "access_token": "at", "refresh_token": "rt",
               "expires_at": 1_800_000_000})
    );

    let before = vault.data_version().unwrap();
    let ask = json!({"path": copy.path(), "passphrase": OURS});
    let written = python(WRITE, &ask, None).unwrap();
    assert_ne!(vault.data_version().unwrap(), before);
    let info = vault.token(written["token"].as_str().unwrap()).unwrap().unwrap();
    assert_eq!((&*info.scope, &*info.provider), ("shared", "theirs"));
    assert_eq!(vault.ssh_keys("shared").unwrap()[2].public_line(), written["line"]);
    vault
        .change_credential("default", "theirs", |login| login.refreshed(&secret("2"), None, 7))
        .unwrap();
    let theirs = read(&copy, OURS).unwrap();
    assert_same(&vault, &theirs);
    assert_eq!(
        theirs["credentials"]["default"]["theirs"],
        json!({"type": "oauth", "access_token": "2", "expires_at": 7, "ü": [1, 2.5]})
    );
}

/// The package's whole way from a session file to the data, and a change of the passphrase with
/// what it found there.
const BY_SESSION_FILE: &str = r#"
import json, os, sys
from pathlib import Path
from terok_sandbox.vault.store import session_file
from terok_sandbox.vault.store.db import CredentialDB
from terok_sandbox.vault.store.encryption import rekey_in_place
ask = json.load(sys.stdin)
found = session_file.load(ask["path"])
db = CredentialDB(Path(ask["path"]), passphrase=found)
providers = db.list_credentials("default")
db.store_credential("default", "theirs", {"type": "api_key", "key": "k"})
db.close()
rekey_in_place(Path(ask["path"]), found, ask["new"])
print(json.dumps(providers))
"#;

#[test]
fn a_session_file_with_the_derived_key_opens_the_vault_there_too() {
    const NEW: &str = "changed there";
    let copy = Copy::of(4);
    let (vault, key) = Vault::open_deriving(&copy.path(), &passphrase()).unwrap();
    let ours = vault.credentials().unwrap();
    drop(vault);
    let runtime_dir = copy.directory().join("run");
    let directory = runtime_dir.join("terok/vault-session");
    session_cache::remember(&directory, &copy.path(), &key).unwrap();
    let ask = json!({"path": copy.path(), "new": NEW});
    let found = python(BY_SESSION_FILE, &ask, Some(&runtime_dir));
    session_cache::forget(&directory, &copy.path()).unwrap();
    let Some(found) = found else { return };
    let providers: Vec<&str> = ours
        .iter()
        .filter(|name| name.credential_set == "default")
        .map(|name| name.provider.as_str())
        .collect();
    assert_eq!(found, json!(providers));
    assert!(Vault::open(&copy.path(), &key).is_err());
    let vault = Vault::open(&copy.path(), &secret(NEW)).unwrap();
    assert_eq!(vault.credentials().unwrap().len(), ours.len() + 1);
}

#[test]
fn a_vault_whose_passphrase_changed_and_its_backup_read_the_same_there() {
    const NEW: &str = "it's new – é";
    let copy = Copy::of(4);
    Vault::change_passphrase(&copy.path(), &passphrase(), &secret(NEW)).unwrap();
    let vault = Vault::open(&copy.path(), &secret(NEW)).unwrap();
    let backup = copy.directory().join("backup.db");
    vault.back_up(&backup).unwrap();
    for path in [&copy.path(), &backup] {
        let Some(theirs) = python(READ, &json!({"path": path, "passphrase": NEW}), None) else {
            return;
        };
        assert_same(&vault, &theirs);
    }
}

/// Writes a token as often as it is told.
const WRITE_MANY: &str = r#"
import json, sys
from pathlib import Path
from terok_sandbox.vault.store.db import CredentialDB
ask = json.load(sys.stdin)
db = CredentialDB(Path(ask["path"]), passphrase=ask["passphrase"])
print(json.dumps([db.create_token("both", "theirs", "default", str(n)) for n in range(ask["times"])]))
"#;

#[test]
fn writers_of_both_kinds_at_once_lose_nothing() {
    const TIMES: usize = 150;
    let copy = Copy::of(4);
    let before = copy.open().tokens().unwrap().len();
    let ask = json!({"path": copy.path(), "passphrase": passphrase().expose(), "times": TIMES});
    let theirs = thread::scope(|threads| {
        let theirs = threads.spawn(|| python(WRITE_MANY, &ask, None));
        for _ in 0..2 {
            threads.spawn(|| {
                let mut vault = copy.open();
                for _ in 0..TIMES {
                    vault.mint_token(&token_info("both")).unwrap();
                }
            });
        }
        theirs.join().unwrap()
    });
    let Some(theirs) = theirs else { return };
    let vault = copy.open();
    assert_eq!(vault.tokens().unwrap().len(), before + 3 * TIMES);
    for token in theirs.as_array().unwrap() {
        assert!(vault.token(token.as_str().unwrap()).unwrap().is_some());
    }
    assert_eq!(vault.check(), []);
}

#[test]
fn session_caches_are_shared_both_ways() {
    let copy = Copy::absent();
    let runtime_dir = copy.directory().join("run");
    std::fs::create_dir(&runtime_dir).unwrap();
    let directory = runtime_dir.join("terok/vault-session");
    // Not the shortest form of the path: both sides must shorten it alike.
    let db_path = copy.directory().join("x/../credentials.db");
    let backings = session_cache::remember(&directory, &db_path, &secret("by us")).unwrap();
    let ask = json!({"path": db_path});

    let Some(found) = python(SESSION_FILE, &ask, Some(&runtime_dir)) else {
        session_cache::forget(&directory, &db_path).unwrap();
        return;
    };
    assert_eq!(found, json!("by us"));
    let keyring = python(KEYRING, &ask, None).unwrap();
    if backings.kernel_keyring.is_ok() && keyring["reason"].is_null() {
        assert_eq!(keyring["found"], json!("by us"));
    } else {
        println!("skipped: kernel keyring: {:?} {}", backings.kernel_keyring, keyring["reason"]);
    }

    let sources = Sources {
        db_path: db_path.clone(),
        sealed_file: copy.directory().join("none.cred"),
        use_keyring: false,
        session_directories: vec![directory.clone()],
        passphrase_command: None,
    };
    let unlocked = resolve(&sources).unwrap();
    assert_eq!(unlocked.passphrase.expose(), "by the package");
    let expected = if keyring["stored"] == true { Tier::KernelKeyring } else { Tier::SessionFile };
    assert_eq!(unlocked.tier, expected);
    session_cache::forget(&directory, &db_path).unwrap();
    assert!(resolve(&sources).is_err());
}

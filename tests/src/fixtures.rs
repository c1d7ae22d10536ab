//! The files in `tests/fixtures`: a vault of an existing installation, captured states of real
//! runtimes, sidecars of an existing launcher.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use terok_shared::secret::Secret;

/// The scope of every token and key in the vault.
pub const SCOPE: &str = "proj1";

/// What the vault stores for the providers `fake` and `fakekey`; no container may ever see it.
pub const REAL_SECRETS: [&str; 2] = ["REAL-SECRET-0123456789", "REAL-XKEY-987"];

pub fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

pub fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap()
}

pub fn json(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

/// A phantom token of the vault: `fake`, `fakekey`, `dead` for HTTP, `ssh` for the signer.
pub fn token(name: &str) -> String {
    json("vault/v4.tokens.json")[name].as_str().expect("a token of the fixture").to_owned()
}

pub fn passphrase() -> Secret<String> {
    text("vault/v4.passphrase").trim_end_matches('\n').to_owned().into()
}

/// Lines of `authorized_keys` form, the default key first: ed25519, then RSA.
pub fn ssh_public_keys() -> Vec<String> {
    text("vault/v4.ssh-public-keys").lines().map(str::to_owned).collect()
}

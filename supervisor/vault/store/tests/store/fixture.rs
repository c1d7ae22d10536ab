//! Copies of the databases in `tests/fixtures/vault`, and small values for tests.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use terok_shared::secret::Secret;
use vault_store::Vault;
use vault_store::token::TokenInfo;

/// A database in a directory of its own, gone with the value.
pub(crate) struct Copy {
    directory: TempDir,
}

impl Copy {
    pub(crate) fn of(version: u8) -> Self {
        let copy = Self::absent();
        fs::copy(file(&format!("v{version}.db")), copy.path()).unwrap();
        copy
    }

    /// A directory without a database.
    pub(crate) fn absent() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("credentials.db")
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn open(&self) -> Vault {
        Vault::open(&self.path(), &passphrase()).unwrap()
    }
}

pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/vault").join(name)
}

pub(crate) fn passphrase() -> Secret<String> {
    let text = fs::read_to_string(file("v4.passphrase")).unwrap();
    text.trim_end_matches('\n').to_owned().into()
}

pub(crate) fn secret(text: &str) -> Secret<String> {
    text.to_owned().into()
}

pub(crate) fn token_info(provider: &str) -> TokenInfo {
    TokenInfo {
        scope: "proj1".to_owned(),
        subject: "web".to_owned(),
        credential_set: "default".to_owned(),
        provider: provider.to_owned(),
    }
}

//! Credentials in the database: a row for each credential set and provider.
//!
//! In come names and credentials; out come credentials, or names without values.

use std::fmt;

use rusqlite::{Connection, OptionalExtension};
use terok_shared::secret::Secret;

use super::{Credential, MalformedCredential};
use crate::Vault;
use crate::database::{DatabaseError, During};

/// Which credential, without its value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CredentialName {
    pub credential_set: String,
    pub provider: String,
}

impl Vault {
    /// Stores a credential, in place of one of the same name.
    pub fn put_credential(
        &mut self,
        credential_set: &str,
        provider: &str,
        credential: &Credential,
    ) -> Result<(), CredentialError> {
        self.write(|transaction| Ok(put(transaction, credential_set, provider, credential)?))
    }

    /// Stores several credentials of one set: all of them, or on an error none.
    pub fn put_credentials(
        &mut self,
        credential_set: &str,
        credentials: &[(String, Credential)],
    ) -> Result<(), CredentialError> {
        self.write(|transaction| {
            for (provider, credential) in credentials {
                put(transaction, credential_set, provider, credential)?;
            }
            Ok(())
        })
    }

    /// Reads one credential; `None` when there is no such row.
    pub fn credential(
        &self,
        credential_set: &str,
        provider: &str,
    ) -> Result<Option<Credential>, CredentialError> {
        get(self.connection(), credential_set, provider)
    }

    /// Reads, changes and writes one credential under the write lock, so that a change made by
    /// another process in between is not lost. Returns whether there was such a row.
    pub fn change_credential(
        &mut self,
        credential_set: &str,
        provider: &str,
        change: impl FnOnce(&mut Credential),
    ) -> Result<bool, CredentialError> {
        self.write(|transaction| {
            let Some(mut credential) = get(transaction, credential_set, provider)? else {
                return Ok(false);
            };
            change(&mut credential);
            put(transaction, credential_set, provider, &credential)?;
            Ok(true)
        })
    }

    /// All names, ordered by set and provider. No value is read.
    pub fn credentials(&self) -> Result<Vec<CredentialName>, DatabaseError> {
        self.connection()
            .prepare_cached(
                "SELECT credential_set, provider FROM credentials
                 ORDER BY credential_set, provider",
            )
            .and_then(|mut statement| {
                statement
                    .query_map([], |row| {
                        Ok(CredentialName { credential_set: row.get(0)?, provider: row.get(1)? })
                    })
                    .and_then(Iterator::collect)
            })
            .during("list credentials")
    }

    /// Removes a credential. Returns whether there was one.
    pub fn remove_credential(
        &mut self,
        credential_set: &str,
        provider: &str,
    ) -> Result<bool, DatabaseError> {
        self.write(|transaction| {
            transaction
                .execute(
                    "DELETE FROM credentials WHERE credential_set = ? AND provider = ?",
                    (credential_set, provider),
                )
                .map(|removed| removed > 0)
                .during("remove a credential")
        })
    }
}

pub(crate) fn get(
    connection: &Connection,
    credential_set: &str,
    provider: &str,
) -> Result<Option<Credential>, CredentialError> {
    let json: Option<String> = connection
        .prepare_cached("SELECT data FROM credentials WHERE credential_set = ? AND provider = ?")
        .and_then(|mut statement| {
            statement.query_row((credential_set, provider), |row| row.get(0)).optional()
        })
        .during("read a credential")?;
    let Some(json) = json.map(Secret::new) else { return Ok(None) };
    Credential::parse(json.expose()).map(Some).map_err(|source| CredentialError::Malformed {
        credential_set: credential_set.to_owned(),
        provider: provider.to_owned(),
        source,
    })
}

pub(crate) fn put(
    connection: &Connection,
    credential_set: &str,
    provider: &str,
    credential: &Credential,
) -> Result<(), DatabaseError> {
    connection
        .execute(
            "INSERT INTO credentials (credential_set, provider, data) VALUES (?, ?, ?)
             ON CONFLICT (credential_set, provider) DO UPDATE SET data = excluded.data",
            (credential_set, provider, credential.to_json().expose()),
        )
        .map(drop)
        .during("write a credential")
}

/// Why a credential could not be read or written.
#[derive(Debug)]
pub enum CredentialError {
    /// The row exists, but its text is no JSON object.
    Malformed {
        credential_set: String,
        provider: String,
        source: MalformedCredential,
    },
    Database(DatabaseError),
}

impl From<DatabaseError> for CredentialError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { credential_set, provider, source } => {
                write!(f, "read credential {provider} of set {credential_set}: {source}")
            }
            Self::Database(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CredentialError {}

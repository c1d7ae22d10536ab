//! Phantom tokens: what a container holds in place of a credential.
//!
//! In comes what a token grants; out comes the token, once. Later the token comes in and what it
//! grants goes out.

use std::fmt;

use rusqlite::{OptionalExtension, Row, Transaction};
use terok_shared::secret::Secret;
use terok_shared::token::{EntropyError, Form, mint_phantom};

use crate::Vault;
use crate::database::{DatabaseError, During};
use crate::scope::{ScopeError, ScopeName};

/// What a token grants, and to whom it was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenInfo {
    /// A scope name, or empty for a token that belongs to none.
    pub scope: String,
    /// The launcher's label for the holder, such as the container's name.
    pub subject: String,
    pub credential_set: String,
    /// The provider of the credential; `ssh` grants the keys of the scope.
    pub provider: String,
}

/// A row of the token list.
#[derive(Debug)]
pub struct StoredToken {
    pub token: Secret<String>,
    pub info: TokenInfo,
}

impl Vault {
    /// Makes a token and stores it. This is the only time it need ever be shown.
    pub fn mint_token(&mut self, info: &TokenInfo) -> Result<Secret<String>, TokenError> {
        self.store_token(info, mint_phantom)
    }

    /// The same, in a form that a provider's client accepts.
    pub fn mint_token_like(
        &mut self,
        info: &TokenInfo,
        form: Form,
    ) -> Result<Secret<String>, TokenError> {
        self.store_token(info, || form.mint())
    }

    /// Stores tokens that were minted elsewhere: all of them, or on an error none.
    ///
    /// # Errors
    /// One that is there already, whatever it grants.
    pub fn put_tokens(&mut self, tokens: &[StoredToken]) -> Result<(), TokenError> {
        for stored in tokens {
            check_scope(&stored.info)?;
        }
        self.write(|transaction| {
            for StoredToken { token, info } in tokens {
                insert(transaction, token, info)?;
            }
            Ok(())
        })
    }

    fn store_token(
        &mut self,
        info: &TokenInfo,
        mint: impl FnOnce() -> Result<Secret<String>, EntropyError>,
    ) -> Result<Secret<String>, TokenError> {
        check_scope(info)?;
        let token = mint().map_err(TokenError::NoRandomness)?;
        self.write(|transaction| insert(transaction, &token, info))?;
        Ok(token)
    }

    /// What `token` grants; `None` when it was never made or has been revoked. One index probe,
    /// whatever is presented.
    pub fn token(&self, token: &str) -> Result<Option<TokenInfo>, DatabaseError> {
        self.connection()
            .prepare_cached(
                "SELECT scope, subject, credential_set, provider FROM proxy_tokens
                 WHERE token = ?",
            )
            .and_then(|mut statement| {
                statement.query_row([token], |row| info_at(row, 0)).optional()
            })
            .during("look up a token")
    }

    /// All tokens, ordered by what they grant. The caller shows them masked or not at all.
    pub fn tokens(&self) -> Result<Vec<StoredToken>, DatabaseError> {
        self.connection()
            .prepare_cached(
                "SELECT token, scope, subject, credential_set, provider FROM proxy_tokens
                 ORDER BY scope, subject, credential_set, provider, token",
            )
            .and_then(|mut statement| {
                statement
                    .query_map([], |row| {
                        let token: String = row.get(0)?;
                        Ok(StoredToken { token: token.into(), info: info_at(row, 1)? })
                    })
                    .and_then(Iterator::collect)
            })
            .during("list tokens")
    }

    /// Revokes one token. Returns whether it existed.
    pub fn revoke_token(&mut self, token: &str) -> Result<bool, DatabaseError> {
        self.write(|transaction| {
            transaction
                .execute("DELETE FROM proxy_tokens WHERE token = ?", [token])
                .map(|removed| removed > 0)
                .during("revoke a token")
        })
    }

    /// Revokes every token of a holder in a scope. Returns how many there were.
    pub fn revoke_subject(&mut self, scope: &str, subject: &str) -> Result<usize, DatabaseError> {
        self.write(|transaction| {
            transaction
                .execute(
                    "DELETE FROM proxy_tokens WHERE scope = ? AND subject = ?",
                    (scope, subject),
                )
                .during("revoke the tokens of a subject")
        })
    }
}

fn check_scope(info: &TokenInfo) -> Result<(), TokenError> {
    if info.scope.is_empty() {
        return Ok(());
    }
    ScopeName::parse(&info.scope).map(drop).map_err(TokenError::Scope)
}

fn insert(
    transaction: &Transaction<'_>,
    token: &Secret<String>,
    info: &TokenInfo,
) -> Result<(), DatabaseError> {
    transaction
        .execute(
            "INSERT INTO proxy_tokens (token, scope, subject, credential_set, provider)
             VALUES (?, ?, ?, ?, ?)",
            (token.expose(), &info.scope, &info.subject, &info.credential_set, &info.provider),
        )
        .map(drop)
        .during("store a token")
}

fn info_at(row: &Row<'_>, first: usize) -> rusqlite::Result<TokenInfo> {
    Ok(TokenInfo {
        scope: row.get(first)?,
        subject: row.get(first + 1)?,
        credential_set: row.get(first + 2)?,
        provider: row.get(first + 3)?,
    })
}

/// Why a token was not made.
#[derive(Debug)]
pub enum TokenError {
    Scope(ScopeError),
    NoRandomness(EntropyError),
    Database(DatabaseError),
}

impl From<DatabaseError> for TokenError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scope(error) => write!(f, "make a token: {error}"),
            Self::NoRandomness(error) => error.fmt(f),
            Self::Database(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TokenError {}

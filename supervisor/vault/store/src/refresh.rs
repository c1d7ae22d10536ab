//! What must be remembered about a login's refresh token besides the login: that it is being spent
//! right now, and that it was refused for good.
//!
//! In come a login's name and what happened; out comes whether its refresh token may be spent.
//! Tables of our own, made when first needed, that no other reader of this file knows. They name
//! a refresh token by its SHA-256, so a new login clears what was remembered of the old one.

use rusqlite::{Connection, OptionalExtension, Transaction};
use sha2::{Digest, Sha256};
use terok_shared::secret::Secret;

use crate::Vault;
use crate::credential::{Credential, CredentialError, CredentialName, rows};
use crate::database::{DatabaseError, During};

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS ours_refresh_attempts (
    credential_set TEXT    NOT NULL,
    provider       TEXT    NOT NULL,
    token_digest   TEXT    NOT NULL,
    began_at       INTEGER NOT NULL,
    PRIMARY KEY (credential_set, provider)
);
CREATE TABLE IF NOT EXISTS ours_refresh_refusals (
    credential_set TEXT    NOT NULL,
    provider       TEXT    NOT NULL,
    token_digest   TEXT    NOT NULL,
    reason         TEXT    NOT NULL,
    refused_at     INTEGER NOT NULL,
    PRIMARY KEY (credential_set, provider)
);
";

/// Longest reason kept: it comes from a token endpoint.
const MAX_REASON: usize = 80;

/// Names a refresh token without being one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenDigest(String);

/// A login whose refresh token was refused for good: only a new login helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedLogin {
    pub name: CredentialName,
    /// The endpoint's word for it.
    pub reason: String,
    /// Unix seconds.
    pub at: i64,
}

/// What is remembered of one refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembered {
    Nothing,
    /// Handed out to be spent at this Unix second; what came of it is not known yet.
    Spending {
        since: i64,
    },
    Refused,
}

/// What a new access token replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    Stored,
    /// The row holds another refresh token than the one spent: somebody logged in anew.
    Superseded,
}

impl TokenDigest {
    pub fn of(refresh_token: &Secret<String>) -> Self {
        Self(hex::encode(Sha256::digest(refresh_token.expose())))
    }

    /// Takes back what `as_str` gave.
    pub fn from_text(text: &str) -> Self {
        Self(text.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Vault {
    pub fn remembered(
        &self,
        name: &CredentialName,
        token: &TokenDigest,
    ) -> Result<Remembered, DatabaseError> {
        if !has_tables(self.connection())? {
            return Ok(Remembered::Nothing);
        }
        let key = (&name.credential_set, &name.provider, &token.0);
        let at = |sql| {
            self.connection()
                .prepare_cached(sql)
                .and_then(|mut statement| {
                    statement.query_row(key, |row| row.get::<_, i64>(0)).optional()
                })
                .during("read what is known of a refresh token")
        };
        if at("SELECT refused_at FROM ours_refresh_refusals
               WHERE credential_set = ? AND provider = ? AND token_digest = ?")?
        .is_some()
        {
            return Ok(Remembered::Refused);
        }
        let since = at("SELECT began_at FROM ours_refresh_attempts
                        WHERE credential_set = ? AND provider = ? AND token_digest = ?")?;
        Ok(since.map_or(Remembered::Nothing, |since| Remembered::Spending { since }))
    }

    /// Before a refresh token is handed out; `now` in Unix seconds. Says whether it may be: no when
    /// the row holds another one by now, because somebody has renewed the login since it was read.
    pub fn begin_refresh(
        &mut self,
        name: &CredentialName,
        token: &TokenDigest,
        now: i64,
    ) -> Result<bool, CredentialError> {
        self.write(|transaction| {
            let held = rows::get(transaction, &name.credential_set, &name.provider)?;
            if !held.is_some_and(|login| holds(&login, token)) {
                return Ok(false);
            }
            make_tables(transaction)?;
            transaction
                .execute(
                    "INSERT OR REPLACE INTO ours_refresh_attempts
                     (credential_set, provider, token_digest, began_at) VALUES (?, ?, ?, ?)",
                    (&name.credential_set, &name.provider, &token.0, now),
                )
                .during("remember an attempt to refresh")?;
            Ok(true)
        })
    }

    /// The refresh token was not spent, or nobody knows: it may be tried again.
    pub fn abandon_refresh(&mut self, name: &CredentialName) -> Result<(), DatabaseError> {
        self.write(|transaction| {
            make_tables(transaction)?;
            forget_attempt(transaction, name)
        })
    }

    /// Stores what a refresh token bought, if the row still holds that token. `expires_at` in Unix
    /// seconds. Members that are not ours are kept.
    pub fn renew(
        &mut self,
        name: &CredentialName,
        spent: &TokenDigest,
        access_token: &Secret<String>,
        refresh_token: Option<&Secret<String>>,
        expires_at: i64,
    ) -> Result<Renewal, CredentialError> {
        self.write(|transaction| {
            let held = rows::get(transaction, &name.credential_set, &name.provider)?;
            let Some(mut login) = held.filter(|login| holds(login, spent)) else {
                return Ok(Renewal::Superseded);
            };
            login.refreshed(access_token, refresh_token, expires_at);
            rows::put(transaction, &name.credential_set, &name.provider, &login)?;
            make_tables(transaction)?;
            forget_attempt(transaction, name)?;
            Ok(Renewal::Stored)
        })
    }

    /// Remembers that a refresh token was refused for good; `now` in Unix seconds.
    pub fn refuse_refresh(
        &mut self,
        name: &CredentialName,
        token: &TokenDigest,
        reason: &str,
        now: i64,
    ) -> Result<(), DatabaseError> {
        let reason: String =
            reason.chars().filter(|c| c.is_ascii_graphic()).take(MAX_REASON).collect();
        self.write(|transaction| {
            make_tables(transaction)?;
            forget_attempt(transaction, name)?;
            transaction
                .execute(
                    "INSERT OR REPLACE INTO ours_refresh_refusals
                     (credential_set, provider, token_digest, reason, refused_at)
                     VALUES (?, ?, ?, ?, ?)",
                    (&name.credential_set, &name.provider, &token.0, &reason, now),
                )
                .map(drop)
                .during("remember a refused refresh token")
        })
    }

    /// The logins whose present refresh token was refused for good.
    pub fn refused_logins(&self) -> Result<Vec<RefusedLogin>, CredentialError> {
        if !has_tables(self.connection())? {
            return Ok(Vec::new());
        }
        let rows: Vec<(RefusedLogin, TokenDigest)> = self
            .connection()
            .prepare_cached(
                "SELECT credential_set, provider, reason, refused_at, token_digest
                 FROM ours_refresh_refusals ORDER BY credential_set, provider",
            )
            .and_then(|mut statement| {
                let rows = statement.query_map([], |row| {
                    let name =
                        CredentialName { credential_set: row.get(0)?, provider: row.get(1)? };
                    let refused = RefusedLogin { name, reason: row.get(2)?, at: row.get(3)? };
                    Ok((refused, TokenDigest(row.get(4)?)))
                })?;
                rows.collect()
            })
            .during("list refused refresh tokens")?;
        let mut current = Vec::new();
        for (refused, digest) in rows {
            let name = &refused.name;
            let held = self.credential(&name.credential_set, &name.provider)?;
            if held.is_some_and(|login| holds(&login, &digest)) {
                current.push(refused);
            }
        }
        Ok(current)
    }
}

fn holds(login: &Credential, digest: &TokenDigest) -> bool {
    login.refresh_token().is_some_and(|token| TokenDigest::of(&token) == *digest)
}

fn forget_attempt(
    transaction: &Transaction<'_>,
    name: &CredentialName,
) -> Result<(), DatabaseError> {
    transaction
        .execute(
            "DELETE FROM ours_refresh_attempts WHERE credential_set = ? AND provider = ?",
            (&name.credential_set, &name.provider),
        )
        .map(drop)
        .during("forget an attempt to refresh")
}

fn make_tables(transaction: &Transaction<'_>) -> Result<(), DatabaseError> {
    transaction.execute_batch(TABLES).during("create tables of refreshes")
}

fn has_tables(connection: &Connection) -> Result<bool, DatabaseError> {
    connection
        .prepare_cached("SELECT count(*) FROM sqlite_master WHERE name = 'ours_refresh_refusals'")
        .and_then(|mut statement| statement.query_row([], |row| row.get::<_, i64>(0)))
        .map(|count| count == 1)
        .during("look for the tables of refreshes")
}

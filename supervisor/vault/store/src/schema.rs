//! The tables, and the way to them from every older version.
//!
//! In comes an open connection; out comes the same one with `user_version` 4. Table texts and
//! steps are those that other readers of this file expect: what only we need goes into tables of
//! our own, never into these.

use std::fmt;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::database::{DatabaseError, During};
use crate::ssh_key;

/// The `PRAGMA user_version` of the tables below.
pub const VERSION: i64 = 4;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS credentials (
    credential_set TEXT NOT NULL,
    provider       TEXT NOT NULL,
    data           TEXT NOT NULL,
    PRIMARY KEY (credential_set, provider)
);
CREATE TABLE IF NOT EXISTS ssh_keys (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    key_type     TEXT    NOT NULL CHECK (key_type IN ('ed25519','rsa')),
    private_der  BLOB    NOT NULL,
    public_blob  BLOB    NOT NULL,
    comment      TEXT    NOT NULL DEFAULT '',
    fingerprint  TEXT    NOT NULL UNIQUE,
    created_at   TEXT    NOT NULL DEFAULT (datetime('now'))
);
CREATE TABLE IF NOT EXISTS ssh_key_assignments (
    scope        TEXT    NOT NULL,
    key_id       INTEGER NOT NULL REFERENCES ssh_keys(id) ON DELETE CASCADE,
    assigned_at  TEXT    NOT NULL DEFAULT (datetime('now')),
    is_default   INTEGER NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)),
    PRIMARY KEY (scope, key_id)
);
CREATE TABLE IF NOT EXISTS proxy_tokens (
    token          TEXT PRIMARY KEY,
    scope          TEXT NOT NULL,
    subject        TEXT NOT NULL,
    credential_set TEXT NOT NULL,
    provider       TEXT NOT NULL
);
";

/// Version 3 names a credential by the service that takes it, no longer by the program using it.
const PROVIDER_RENAMES: [(&str, &str); 6] = [
    ("claude", "anthropic"),
    ("codex", "openai"),
    ("vibe", "mistral"),
    ("gh", "github"),
    ("glab", "gitlab"),
    ("sonar", "sonarcloud"),
];

/// Makes the oldest assignment the default of every scope that has none.
const ELECT_DEFAULTS: &str = "
UPDATE ssh_key_assignments AS a SET is_default = 1
WHERE NOT EXISTS (SELECT 1 FROM ssh_key_assignments WHERE scope = a.scope AND is_default = 1)
  AND key_id = (SELECT key_id FROM ssh_key_assignments WHERE scope = a.scope
                ORDER BY assigned_at, key_id LIMIT 1)
";

const ONE_DEFAULT_PER_SCOPE: &str = "
CREATE UNIQUE INDEX IF NOT EXISTS ssh_one_default_per_scope
ON ssh_key_assignments (scope) WHERE is_default = 1
";

/// Why the tables could not be brought up to date. The file is then as it was before.
#[derive(Debug)]
pub(crate) enum SchemaError {
    Newer { version: i64 },
    UnreadableOldKey { id: i64, reason: String },
    Database(DatabaseError),
}

impl From<DatabaseError> for SchemaError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer { version } => {
                write!(f, "schema version {version} is newer than {VERSION}")
            }
            Self::UnreadableOldKey { id, reason } => write!(f, "ssh key {id}: {reason}"),
            Self::Database(error) => error.fmt(f),
        }
    }
}

/// Leaves a database of a later release alone, before anything is written to it.
pub(crate) fn refuse_newer(connection: &Connection) -> Result<i64, SchemaError> {
    let version = connection
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .during("read user_version")?;
    if version > VERSION { Err(SchemaError::Newer { version }) } else { Ok(version) }
}

/// Creates what is missing and migrates what is old, in one transaction.
///
/// The version is read again under the write lock: of two processes that meet an old database,
/// one migrates and the other finds the work done.
pub(crate) fn bring_up_to_date(connection: &mut Connection) -> Result<(), SchemaError> {
    if refuse_newer(connection)? == VERSION {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .during("begin the migration")?;
    let version = refuse_newer(&transaction)?;
    if version < VERSION {
        transaction.execute_batch(TABLES).during("create tables")?;
        if version < 1 {
            rewrite_pem_keys(&transaction)?;
        }
        if version < 2 {
            rename_task(&transaction).during("rename proxy_tokens.task")?;
        }
        if version < 3 {
            rename_providers(&transaction).during("rename providers")?;
        }
        mark_default_keys(&transaction).during("mark default keys")?;
        transaction.pragma_update(None, "user_version", VERSION).during("set user_version")?;
    }
    transaction.commit().during("commit the migration")?;
    Ok(())
}

/// v0 → v1: OpenSSH PEM becomes PKCS#8 DER, the hex fingerprint what `ssh-keygen -l` prints.
fn rewrite_pem_keys(transaction: &Transaction<'_>) -> Result<(), SchemaError> {
    if !has_column(transaction, "ssh_keys", "private_pem").during("inspect ssh_keys")? {
        return Ok(());
    }
    let rows: Vec<(i64, Vec<u8>, Vec<u8>)> = transaction
        .prepare("SELECT id, private_pem, public_blob FROM ssh_keys")
        .and_then(|mut statement| {
            statement
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .and_then(Iterator::collect)
        })
        .during("read old ssh keys")?;
    for (id, pem, public_blob) in rows {
        let pair = ssh_key::file::import(&pem.into(), None)
            .map_err(|error| SchemaError::UnreadableOldKey { id, reason: error.to_string() })?;
        transaction
            .execute(
                "UPDATE ssh_keys SET private_pem = ?, fingerprint = ? WHERE id = ?",
                (pair.private_der().expose(), ssh_key::fingerprint(&public_blob), id),
            )
            .during("rewrite an ssh key")?;
    }
    transaction
        .execute_batch("ALTER TABLE ssh_keys RENAME COLUMN private_pem TO private_der")
        .during("rename ssh_keys.private_pem")?;
    Ok(())
}

/// v1 → v2: whom a token was made for is the launcher's business, not always a task.
fn rename_task(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    if has_column(transaction, "proxy_tokens", "task")? {
        transaction.execute_batch("ALTER TABLE proxy_tokens RENAME COLUMN task TO subject")?;
    }
    Ok(())
}

/// v2 → v3. Where the new name is taken already, the old row stays as it is.
fn rename_providers(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    for (old, new) in PROVIDER_RENAMES {
        for update in [
            "UPDATE OR IGNORE credentials SET provider = ?2 WHERE provider = ?1",
            "UPDATE OR IGNORE proxy_tokens SET provider = ?2 WHERE provider = ?1",
        ] {
            transaction.execute(update, (old, new))?;
        }
    }
    Ok(())
}

/// v3 → v4: every scope with keys has exactly one that is offered first.
fn mark_default_keys(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    if !has_column(transaction, "ssh_key_assignments", "is_default")? {
        transaction.execute_batch(
            "ALTER TABLE ssh_key_assignments ADD COLUMN is_default
             INTEGER NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1))",
        )?;
    }
    transaction.execute_batch(ELECT_DEFAULTS)?;
    transaction.execute_batch(ONE_DEFAULT_PER_SCOPE)
}

/// Gives a scope whose default key went away its oldest remaining key as default.
pub(crate) fn elect_defaults(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute_batch(ELECT_DEFAULTS)
}

fn has_column(connection: &Connection, table: &str, column: &str) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT count(*) FROM pragma_table_info(?) WHERE name = ?",
        (table, column),
        |row| row.get::<_, i64>(0).map(|count| count == 1),
    )
}

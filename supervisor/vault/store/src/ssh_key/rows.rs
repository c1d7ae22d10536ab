//! SSH keys in the database: each stored once, assigned to any number of scopes.
//!
//! In come scopes and pairs; out come public halves in the order in which an agent offers them,
//! and private halves only for those who ask for them by name.

use std::fmt;

use rusqlite::{OptionalExtension, Row, Transaction};
use terok_shared::secret::Secret;

use super::{KeyKind, KeyPair, public_line};
use crate::Vault;
use crate::database::{DatabaseError, During};
use crate::schema::elect_defaults;
use crate::scope::ScopeName;

/// The row number of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub i64);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The public half of a stored key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    pub id: KeyId,
    pub kind: KeyKind,
    /// SSH wire format.
    pub public_blob: Vec<u8>,
    pub comment: String,
    /// As `ssh-keygen -l` prints it.
    pub fingerprint: String,
}

impl PublicKey {
    /// One line of a `.pub` or `authorized_keys` file.
    pub fn public_line(&self) -> String {
        public_line(self.kind, &self.public_blob, &self.comment)
    }
}

/// A stored key with its private half, PKCS#8 DER.
#[derive(Debug)]
pub struct PrivateKey {
    pub public: PublicKey,
    pub private_der: Secret<Vec<u8>>,
}

/// A key as one scope sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    pub scope: String,
    pub key: PublicKey,
    /// Offered before the other keys of the scope.
    pub is_default: bool,
}

/// What storing a pair came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Added {
    pub id: KeyId,
    /// The key was stored before; its comment stays as it was.
    pub was_known: bool,
    /// The scope had the key before.
    pub was_assigned: bool,
}

/// Columns of a `PublicKey`, as `public_at` reads them.
macro_rules! public_columns {
    () => {
        "k.id, k.key_type, k.public_blob, k.comment, k.fingerprint"
    };
}

/// Keys of one scope in the order of an agent's answer.
macro_rules! of_scope_in_order {
    ($columns:expr) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM ssh_keys k JOIN ssh_key_assignments a ON a.key_id = k.id
             WHERE a.scope = ? ORDER BY a.is_default DESC, a.assigned_at, k.id"
        )
    };
}

impl Vault {
    /// The public keys of a scope: the default first, then by time of assignment, then by id.
    /// Private halves are not read. A scope that nobody ever used has none.
    pub fn ssh_keys(&self, scope: &str) -> Result<Vec<PublicKey>, DatabaseError> {
        self.connection()
            .prepare_cached(of_scope_in_order!(public_columns!()))
            .and_then(|mut statement| {
                statement.query_map([scope], public_at).and_then(Iterator::collect)
            })
            .during("list ssh keys")
    }

    /// The keys of a scope with their private halves, in the same order.
    pub fn ssh_private_keys(&self, scope: &str) -> Result<Vec<PrivateKey>, DatabaseError> {
        self.connection()
            .prepare_cached(of_scope_in_order!(concat!(public_columns!(), ", k.private_der")))
            .and_then(|mut statement| {
                statement.query_map([scope], private_at).and_then(Iterator::collect)
            })
            .during("read ssh keys")
    }

    /// The private half of one key, if the scope has it.
    pub fn ssh_private_key(
        &self,
        scope: &str,
        public_blob: &[u8],
    ) -> Result<Option<PrivateKey>, DatabaseError> {
        self.connection()
            .prepare_cached(concat!(
                "SELECT ",
                public_columns!(),
                ", k.private_der FROM ssh_keys k
                 JOIN ssh_key_assignments a ON a.key_id = k.id
                 WHERE a.scope = ? AND k.public_blob = ?"
            ))
            .and_then(|mut statement| {
                statement.query_row((scope, public_blob), private_at).optional()
            })
            .during("read an ssh key")
    }

    /// One key with its private half, whoever has it. For its owner, never for a container.
    pub fn find_ssh_private_key(
        &self,
        fingerprint: &str,
    ) -> Result<Option<PrivateKey>, DatabaseError> {
        self.connection()
            .prepare_cached(concat!(
                "SELECT ",
                public_columns!(),
                ", k.private_der FROM ssh_keys k WHERE k.fingerprint = ?"
            ))
            .and_then(|mut statement| statement.query_row([fingerprint], private_at).optional())
            .during("read an ssh key")
    }

    /// Every key with its private half, whether or not a scope has it.
    pub(crate) fn all_ssh_private_keys(&self) -> Result<Vec<PrivateKey>, DatabaseError> {
        self.connection()
            .prepare(concat!(
                "SELECT ",
                public_columns!(),
                ", k.private_der FROM ssh_keys k ORDER BY k.id"
            ))
            .and_then(|mut statement| {
                statement.query_map([], private_at).and_then(Iterator::collect)
            })
            .during("read ssh keys")
    }

    /// Every assignment of every key, ordered by scope and, within one, as `ssh_keys`.
    pub fn ssh_key_assignments(&self) -> Result<Vec<Assignment>, DatabaseError> {
        self.connection()
            .prepare_cached(concat!(
                "SELECT ",
                public_columns!(),
                ", a.scope, a.is_default FROM ssh_keys k
                 JOIN ssh_key_assignments a ON a.key_id = k.id
                 ORDER BY a.scope, a.is_default DESC, a.assigned_at, k.id"
            ))
            .and_then(|mut statement| {
                statement
                    .query_map([], |row| {
                        Ok(Assignment {
                            key: public_at(row)?,
                            scope: row.get(5)?,
                            is_default: row.get(6)?,
                        })
                    })
                    .and_then(Iterator::collect)
            })
            .during("list ssh key assignments")
    }

    /// The key with this `SHA256:…` fingerprint.
    pub fn find_ssh_key(&self, fingerprint: &str) -> Result<Option<PublicKey>, DatabaseError> {
        self.connection()
            .prepare_cached(concat!(
                "SELECT ",
                public_columns!(),
                " FROM ssh_keys k WHERE k.fingerprint = ?"
            ))
            .and_then(|mut statement| statement.query_row([fingerprint], public_at).optional())
            .during("find an ssh key")
    }

    /// Stores a pair and assigns it. The first key of a scope becomes its default.
    pub fn add_ssh_key(&mut self, scope: &ScopeName, pair: &KeyPair) -> Result<Added, SshKeyError> {
        refuse_reserved(scope)?;
        self.write(|transaction| {
            let inserted = transaction
                .execute(
                    "INSERT INTO ssh_keys
                     (key_type, private_der, public_blob, comment, fingerprint)
                     VALUES (?, ?, ?, ?, ?) ON CONFLICT (fingerprint) DO NOTHING",
                    (
                        pair.kind().as_str(),
                        pair.private_der().expose(),
                        pair.public_blob(),
                        pair.comment().as_str(),
                        pair.fingerprint(),
                    ),
                )
                .during("store an ssh key")?;
            let id = transaction
                .query_row(
                    "SELECT id FROM ssh_keys WHERE fingerprint = ?",
                    [pair.fingerprint()],
                    |row| row.get(0).map(KeyId),
                )
                .during("find the stored ssh key")?;
            let was_assigned = !assign(transaction, scope, id)?;
            Ok(Added { id, was_known: inserted == 0, was_assigned })
        })
    }

    /// Gives a scope a stored key. Returns whether the scope had not had it.
    pub fn assign_ssh_key(&mut self, scope: &ScopeName, id: KeyId) -> Result<bool, SshKeyError> {
        refuse_reserved(scope)?;
        self.write(|transaction| {
            if scopes_of(transaction, id)?.is_none() {
                return Err(SshKeyError::Unknown { id });
            }
            Ok(assign(transaction, scope, id)?)
        })
    }

    /// Takes a key from a scope, and out of the database if no other scope has it. The oldest
    /// remaining key becomes the default where that one went. Returns whether the scope had it.
    pub fn unassign_ssh_key(&mut self, scope: &ScopeName, id: KeyId) -> Result<bool, SshKeyError> {
        refuse_reserved(scope)?;
        self.write(|transaction| {
            let removed = transaction
                .execute(
                    "DELETE FROM ssh_key_assignments WHERE scope = ? AND key_id = ?",
                    (scope.as_str(), id.0),
                )
                .during("unassign an ssh key")?;
            if removed > 0 {
                transaction
                    .execute(
                        "DELETE FROM ssh_keys WHERE id = ?1 AND NOT EXISTS
                         (SELECT 1 FROM ssh_key_assignments WHERE key_id = ?1)",
                        [id.0],
                    )
                    .during("remove an ssh key nobody has")?;
                elect_defaults(transaction).during("elect a default ssh key")?;
            }
            Ok(removed > 0)
        })
    }

    /// Removes a key from every scope and from the database. Returns whether it existed.
    pub fn remove_ssh_key(&mut self, id: KeyId) -> Result<bool, SshKeyError> {
        self.write(|transaction| {
            let Some(scopes) = scopes_of(transaction, id)? else { return Ok(false) };
            if let Some(scope) = scopes.into_iter().find(|scope| scope.starts_with('%')) {
                return Err(SshKeyError::Reserved { scope });
            }
            transaction
                .execute("DELETE FROM ssh_keys WHERE id = ?", [id.0])
                .during("remove an ssh key")?;
            elect_defaults(transaction).during("elect a default ssh key")?;
            Ok(true)
        })
    }

    /// Makes a key that the scope has already the one that is offered first.
    pub fn set_default_ssh_key(&mut self, scope: &ScopeName, id: KeyId) -> Result<(), SshKeyError> {
        refuse_reserved(scope)?;
        self.write(|transaction| {
            // Two steps: the index allows one default, checked row by row.
            transaction
                .execute(
                    "UPDATE ssh_key_assignments SET is_default = 0 WHERE scope = ?",
                    [scope.as_str()],
                )
                .during("clear the default ssh key")?;
            let set = transaction
                .execute(
                    "UPDATE ssh_key_assignments SET is_default = 1
                     WHERE scope = ? AND key_id = ?",
                    (scope.as_str(), id.0),
                )
                .during("set the default ssh key")?;
            if set == 0 {
                return Err(SshKeyError::NotAssigned { id, scope: scope.clone() });
            }
            Ok(())
        })
    }
}

fn assign(
    transaction: &Transaction<'_>,
    scope: &ScopeName,
    id: KeyId,
) -> Result<bool, DatabaseError> {
    let added = transaction
        .execute(
            "INSERT INTO ssh_key_assignments (scope, key_id) VALUES (?, ?)
             ON CONFLICT (scope, key_id) DO NOTHING",
            (scope.as_str(), id.0),
        )
        .during("assign an ssh key")?;
    elect_defaults(transaction).during("elect a default ssh key")?;
    Ok(added > 0)
}

/// The scopes that have a key; `None` when there is no such key.
fn scopes_of(
    transaction: &Transaction<'_>,
    id: KeyId,
) -> Result<Option<Vec<String>>, DatabaseError> {
    let scopes: Vec<Option<String>> = transaction
        .prepare(
            "SELECT a.scope FROM ssh_keys k
             LEFT JOIN ssh_key_assignments a ON a.key_id = k.id WHERE k.id = ?",
        )
        .and_then(|mut statement| {
            statement.query_map([id.0], |row| row.get(0)).and_then(Iterator::collect)
        })
        .during("find the scopes of an ssh key")?;
    Ok((!scopes.is_empty()).then(|| scopes.into_iter().flatten().collect()))
}

/// `%name` scopes hold the sandbox's own keys: an operator's command must not mix with them.
fn refuse_reserved(scope: &ScopeName) -> Result<(), SshKeyError> {
    if scope.is_reserved() {
        return Err(SshKeyError::Reserved { scope: scope.to_string() });
    }
    Ok(())
}

fn public_at(row: &Row<'_>) -> rusqlite::Result<PublicKey> {
    let kind: String = row.get(1)?;
    Ok(PublicKey {
        id: KeyId(row.get(0)?),
        kind: KeyKind::parse(&kind).ok_or_else(|| {
            rusqlite::Error::InvalidColumnType(
                1,
                "key_type".to_owned(),
                rusqlite::types::Type::Text,
            )
        })?,
        public_blob: row.get(2)?,
        comment: row.get(3)?,
        fingerprint: row.get(4)?,
    })
}

fn private_at(row: &Row<'_>) -> rusqlite::Result<PrivateKey> {
    let private_der: Vec<u8> = row.get(5)?;
    Ok(PrivateKey { public: public_at(row)?, private_der: private_der.into() })
}

/// Why keys could not be changed.
#[derive(Debug)]
pub enum SshKeyError {
    Reserved { scope: String },
    Unknown { id: KeyId },
    NotAssigned { id: KeyId, scope: ScopeName },
    Database(DatabaseError),
}

impl From<DatabaseError> for SshKeyError {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl fmt::Display for SshKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserved { scope } => {
                write!(f, "scope {scope} is reserved for the sandbox's own keys")
            }
            Self::Unknown { id } => write!(f, "there is no ssh key {id}"),
            Self::NotAssigned { id, scope } => {
                write!(f, "scope {scope} does not have ssh key {id}")
            }
            Self::Database(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SshKeyError {}

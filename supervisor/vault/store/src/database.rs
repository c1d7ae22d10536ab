//! Opening and creating the database file.
//!
//! In come a path and a passphrase; out comes a `Vault` with the current schema, or which of the
//! many ways to be unusable this file has chosen.

mod create;
mod new_file;

mod derived_key;

mod rekey;

mod backup;

mod check;

mod write_lock;

mod error;
mod open_error;

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use terok_shared::secret::Secret;
use zeroize::Zeroizing;

pub use check::{Finding, check_files};
pub use derived_key::is_derived;
pub use error::DatabaseError;
pub(crate) use error::During;
pub use open_error::OpenError;
pub use rekey::{RekeyError, Rekeyed};
pub use write_lock::WriteLock;

use crate::schema;

/// How long a statement waits for another process's write.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The first bytes of a database without encryption (sqlite.org/fileformat.html § 1.3).
const PLAIN_TEXT_HEADER: &[u8; 16] = b"SQLite format 3\0";

/// The open database. Several may be open at once, in one process or many.
#[derive(Debug)]
pub struct Vault {
    connection: Connection,
    path: PathBuf,
}

impl Vault {
    /// Opens an existing database for reading and writing, and migrates an older schema.
    ///
    /// The key derivation takes about 0.1 s. A file that others may read is tightened to 0600.
    pub fn open(path: &Path, passphrase: &Secret<String>) -> Result<Self, OpenError> {
        let key = KeyStatement::new(passphrase)?;
        refuse_unless_encrypted(path)?;
        tighten_mode(path);
        let mut connection = connect(path, &key)?;
        schema::bring_up_to_date(&mut connection)
            .map_err(|source| OpenError::schema(path, source))?;
        Ok(Self { connection, path: path.to_owned() })
    }

    /// Makes a new, empty database (mode 0600, a directory made on the way 0700) and opens it.
    ///
    /// An existing file is never touched. Nobody can meet a half made database: it gets its name
    /// when it is complete.
    pub fn create(path: &Path, passphrase: &Secret<String>) -> Result<Self, OpenError> {
        let key = KeyStatement::new(passphrase)?;
        create::complete_file(path, &key)?;
        Self::open(path, passphrase)
    }

    /// The file this database was opened from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number that changes when another connection has changed the database
    /// (sqlite.org/pragma.html#pragma_data_version). Our own writes leave it as it is.
    pub fn data_version(&self) -> Result<i64, DatabaseError> {
        self.connection
            .prepare_cached("PRAGMA data_version")
            .and_then(|mut statement| statement.query_row([], |row| row.get(0)))
            .during("read data_version")
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Runs `work` under the write lock: all of it happens, or on an error none.
    pub(crate) fn write<T, E: From<DatabaseError>>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .during("begin a write")?;
        let value = work(&transaction)?;
        transaction.commit().during("commit a write")?;
        Ok(value)
    }
}

/// `PRAGMA key` with the passphrase as text, wiped on drop.
///
/// Text is what the key derivation of SQLCipher starts from, unless it looks like `x'…'`
/// (zetetic.net/sqlcipher/sqlcipher-api/#key).
struct KeyStatement(Zeroizing<String>);

const SET_KEY: &str = "PRAGMA key = '";

impl KeyStatement {
    /// SQLCipher reads an empty passphrase as "no encryption", and SQL text ends at a NUL.
    fn new(passphrase: &Secret<String>) -> Result<Self, OpenError> {
        let passphrase = passphrase.expose();
        if passphrase.is_empty() {
            return Err(OpenError::EmptyPassphrase);
        }
        if passphrase.contains('\0') {
            return Err(OpenError::NulInPassphrase);
        }
        // Sized for the worst case, so that growing leaves no copy behind.
        let mut sql = Zeroizing::new(String::with_capacity(2 * passphrase.len() + 20));
        sql.push_str(SET_KEY);
        for character in passphrase.chars() {
            if character == '\'' {
                sql.push('\'');
            }
            sql.push(character);
        }
        sql.push('\'');
        Ok(Self(sql))
    }

    /// The same passphrase as the one to change to (zetetic.net/sqlcipher/sqlcipher-api/#rekey).
    fn for_rekey(&self) -> Zeroizing<String> {
        const SET_NEW_KEY: &str = "PRAGMA rekey = '";
        let mut sql = Zeroizing::new(String::with_capacity(self.0.len() + SET_NEW_KEY.len()));
        sql.push_str(SET_NEW_KEY);
        sql.push_str(self.0.strip_prefix(SET_KEY).expect("every key statement begins so"));
        sql
    }
}

/// Opens the file with the key and proves the key by reading a page.
fn connect(path: &Path, key: &KeyStatement) -> Result<Connection, OpenError> {
    // Without SQLITE_OPEN_URI a path is a path, whatever it begins with.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let database = |source| OpenError::Database { path: path.to_owned(), source };
    let connection =
        Connection::open_with_flags(path, flags).during("open the file").map_err(database)?;
    connection.busy_timeout(BUSY_TIMEOUT).during("set busy_timeout").map_err(database)?;
    // SQLCipher would report a wrong key on stderr, past our log.
    run(&connection, "PRAGMA cipher_log_level = NONE").map_err(database)?;
    // The error of this one statement could quote it, and with it the passphrase.
    connection
        .execute_batch(&key.0)
        .map_err(|_| OpenError::KeyRefused { path: path.to_owned() })?;
    run(&connection, "PRAGMA cipher_compatibility = 4").map_err(database)?;
    match connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(())) {
        Err(source) if error::is_not_a_database(&source) => {
            return Err(OpenError::WrongPassphrase { path: path.to_owned() });
        }
        other => other.during("read the first page").map_err(database)?,
    }
    schema::refuse_newer(&connection).map_err(|source| OpenError::schema(path, source))?;
    run(&connection, "PRAGMA journal_mode = WAL").map_err(database)?;
    run(&connection, "PRAGMA foreign_keys = ON").map_err(database)?;
    Ok(connection)
}

fn run(connection: &Connection, pragma: &'static str) -> Result<(), DatabaseError> {
    connection.execute_batch(pragma).during(pragma)
}

/// An empty file would accept any passphrase, a plain one none.
fn refuse_unless_encrypted(path: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io { doing: "read", path: path.to_owned(), source };
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(OpenError::Missing { path: path.to_owned() });
        }
        other => other.map_err(io)?,
    };
    if !metadata.is_file() {
        return Err(OpenError::NotAFile { path: path.to_owned() });
    }
    if metadata.len() == 0 {
        return Err(OpenError::EmptyFile { path: path.to_owned() });
    }
    let mut header = Vec::with_capacity(PLAIN_TEXT_HEADER.len());
    let file = File::open(path).map_err(io)?;
    file.take(PLAIN_TEXT_HEADER.len() as u64).read_to_end(&mut header).map_err(io)?;
    if header == PLAIN_TEXT_HEADER {
        return Err(OpenError::PlainText { path: path.to_owned() });
    }
    Ok(())
}

/// Takes the file from group and others. SQLite gives the `-wal` and `-shm` files the same mode.
///
/// Databases made by other programs may be 0644. The content is encrypted, so a file that cannot
/// be changed is worth a warning, not a refusal.
fn tighten_mode(path: &Path) {
    let tightened = fs::metadata(path).and_then(|metadata| {
        let mode = metadata.permissions().mode();
        if mode & 0o077 == 0 {
            return Ok(());
        }
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o700))
    });
    if let Err(error) = tightened {
        log::warn!("vault database {} is open to others: {error}", path.display());
    }
}

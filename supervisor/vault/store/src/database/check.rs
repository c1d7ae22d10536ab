//! What is wrong with a database, if anything.
//!
//! In comes an open vault, or the path of one that is to be opened; out come findings. None of them
//! holds a secret, and nothing is repaired.

use std::fmt;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::Row;

use super::new_file::directory_of;
use super::{During, Vault};
use crate::credential::CredentialError;
use crate::database::DatabaseError;
use crate::schema;
use crate::ssh_key::file::matches_stored;

/// Enough to see what is wrong; a file full of faults has one for each page.
const MOST_FINDINGS: usize = 50;

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Others than the owner may do more than they should.
    Mode {
        path: PathBuf,
        mode: u32,
    },
    /// The file is somebody else's.
    Owner {
        path: PathBuf,
        uid: u32,
    },
    /// A page does not carry its own authentication code.
    Page(String),
    /// Rows and indices contradict each other.
    Structure(String),
    /// A row names one in another table that is not there.
    Orphan {
        table: String,
        parent: String,
    },
    Version {
        found: i64,
    },
    Credential {
        credential_set: String,
        provider: String,
        why: String,
    },
    Key {
        fingerprint: String,
        why: String,
    },
    /// Too damaged to be asked.
    Unreadable(String),
}

/// Who may reach the files, as they are found: opening the vault tightens what it can.
pub fn check_files(database: &Path) -> Vec<Finding> {
    let beside = |suffix: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let files = [database.to_owned(), beside("-wal"), beside("-shm")];
    let directory = directory_of(database).to_owned();
    let mut findings = Vec::new();
    for (path, forbidden) in files.into_iter().map(|file| (file, 0o077)).chain([(directory, 0o022)])
    {
        let Ok(facts) = fs::metadata(&path) else { continue };
        let mode = facts.permissions().mode() & 0o7777;
        if facts.uid() != nix::unistd::geteuid().as_raw() {
            findings.push(Finding::Owner { path: path.clone(), uid: facts.uid() });
        }
        if mode & forbidden != 0 {
            findings.push(Finding::Mode { path, mode });
        }
    }
    findings
}

impl Vault {
    /// Looks at every page and every row. Reads the whole file, some of it twice.
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = self.damaged_pages();
        for part in [
            self.structure(),
            self.orphans(),
            self.version(),
            self.unusable_credentials(),
            self.unusable_keys(),
        ] {
            match part {
                Ok(found) => findings.extend(found),
                Err(why) => findings.push(Finding::Unreadable(why.to_string())),
            }
        }
        findings.truncate(MOST_FINDINGS);
        findings
    }

    /// The pages whose authentication code does not fit. They are read past all locks, so that one
    /// that another process is writing may look torn: only what shows twice counts.
    fn damaged_pages(&self) -> Vec<Finding> {
        let look = || self.lines("PRAGMA cipher_integrity_check", "check the pages");
        let found = match look() {
            Ok(first) if !first.is_empty() => look(),
            other => other,
        };
        match found {
            Ok(lines) => lines.into_iter().map(Finding::Page).collect(),
            Err(why) => vec![Finding::Unreadable(why.to_string())],
        }
    }

    fn structure(&self) -> Result<Vec<Finding>, DatabaseError> {
        let lines = self.lines("PRAGMA integrity_check", "check the structure")?;
        Ok(lines.into_iter().filter(|line| line != "ok").map(Finding::Structure).collect())
    }

    fn orphans(&self) -> Result<Vec<Finding>, DatabaseError> {
        let orphan = |row: &Row<'_>| {
            Ok(Finding::Orphan { table: row.get("table")?, parent: row.get("parent")? })
        };
        self.connection()
            .prepare("PRAGMA foreign_key_check")
            .and_then(|mut statement| statement.query_map([], orphan).and_then(Iterator::collect))
            .during("check the references")
    }

    fn version(&self) -> Result<Vec<Finding>, DatabaseError> {
        let found = self.schema_version()?;
        Ok(if found == schema::VERSION { vec![] } else { vec![Finding::Version { found }] })
    }

    fn unusable_credentials(&self) -> Result<Vec<Finding>, DatabaseError> {
        let mut findings = Vec::new();
        for name in self.credentials()? {
            let why = match self.credential(&name.credential_set, &name.provider) {
                Ok(Some(credential)) if credential.secret().is_none() => {
                    "it has no value to present".to_owned()
                }
                Ok(_) => continue,
                Err(CredentialError::Malformed { source, .. }) => source.to_string(),
                Err(CredentialError::Database(error)) => return Err(error),
            };
            let (credential_set, provider) = (name.credential_set, name.provider);
            findings.push(Finding::Credential { credential_set, provider, why });
        }
        Ok(findings)
    }

    fn unusable_keys(&self) -> Result<Vec<Finding>, DatabaseError> {
        let mut findings = Vec::new();
        for key in self.all_ssh_private_keys()? {
            if let Err(why) = matches_stored(&key) {
                let fingerprint = key.public.fingerprint;
                findings.push(Finding::Key { fingerprint, why: why.to_string() });
            }
        }
        Ok(findings)
    }

    /// `PRAGMA user_version` of the file.
    pub fn schema_version(&self) -> Result<i64, DatabaseError> {
        self.connection()
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .during("read user_version")
    }

    fn lines(&self, pragma: &str, doing: &'static str) -> Result<Vec<String>, DatabaseError> {
        self.connection()
            .prepare(pragma)
            .and_then(|mut statement| {
                statement.query_map([], |row| row.get(0)).and_then(Iterator::collect)
            })
            .during(doing)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mode { path, mode } => {
                write!(f, "{} is open to others with mode {mode:04o}", path.display())
            }
            Self::Owner { path, uid } => write!(f, "{} belongs to uid {uid}", path.display()),
            Self::Page(line) | Self::Structure(line) => f.write_str(line),
            Self::Orphan { table, parent } => {
                write!(f, "a row of {table} names one of {parent} that is not there")
            }
            Self::Version { found } => {
                write!(f, "schema version {found}, expected {}", schema::VERSION)
            }
            Self::Credential { credential_set, provider, why } => {
                write!(f, "credential for {provider} of set {credential_set}: {why}")
            }
            Self::Key { fingerprint, why } => write!(f, "ssh key {fingerprint}: {why}"),
            Self::Unreadable(why) => f.write_str(why),
        }
    }
}

//! Where the vault passphrase comes from.
//!
//! In come the places an operator may have put it; out comes the passphrase and the tier that had
//! it, or what every tier on the way answered. The order is that of trust: a passphrase sealed to
//! this machine first, then the session's cache, then a helper program.

mod command;
mod helper_program;
mod sealed_file;
pub mod session_cache;

use std::fmt;
use std::path::PathBuf;

use terok_shared::secret::Secret;

/// Longest passphrase read from anywhere, in bytes. A longer answer is a mistake.
const MAX_PASSPHRASE: usize = 4096;

/// What the sidecar and the environment say about the passphrase.
#[derive(Debug)]
pub struct Sources {
    /// The database the passphrase is for. Absolute: cached passphrases are named after it.
    pub db_path: PathBuf,
    /// The passphrase sealed by systemd-creds. The file decides by existing.
    pub sealed_file: PathBuf,
    /// Whether the desktop's keyring may be asked.
    pub use_keyring: bool,
    /// Directories that may hold session files, the likeliest first. Passed in, because inside a
    /// rootless user namespace the environment may not name them.
    pub session_directories: Vec<PathBuf>,
    /// A program that prints the passphrase. Its text may itself be sensitive.
    pub passphrase_command: Option<Secret<String>>,
}

/// A place a passphrase can come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    SealedFile,
    OsKeyring,
    KernelKeyring,
    SessionFile,
    Command,
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SealedFile => "sealed file",
            Self::OsKeyring => "os keyring",
            Self::KernelKeyring => "kernel keyring",
            Self::SessionFile => "session file",
            Self::Command => "passphrase command",
        })
    }
}

/// What one tier said. Reasons never hold a passphrase or the command's text.
enum Answer {
    Passphrase(Secret<String>),
    /// Nothing here: the next tier is asked.
    Nothing(String),
    /// Set up but failing: no other tier may stand in, or an attacker who breaks this one could
    /// choose the passphrase.
    Broken(String),
}

/// A passphrase and where it was found.
#[derive(Debug)]
pub struct Unlocked {
    pub passphrase: Secret<String>,
    pub tier: Tier,
}

/// One tier that had nothing, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub tier: Tier,
    pub reason: String,
}

/// Walks the tiers in order; the first that answers wins. May take 30 s per helper program.
pub fn resolve(sources: &Sources) -> Result<Unlocked, UnlockError> {
    walk(
        sources,
        [
            (Tier::SealedFile, &|| sealed_file::ask(&sources.sealed_file)),
            (Tier::OsKeyring, &|| os_keyring(sources.use_keyring)),
            (Tier::KernelKeyring, &|| session_cache::kernel_keyring::ask(&sources.db_path)),
            (Tier::SessionFile, &|| {
                session_cache::file::ask(&sources.session_directories, &sources.db_path)
            }),
            (Tier::Command, &|| command::ask(sources.passphrase_command.as_ref())),
        ],
    )
}

/// The Secret Service answers only over the session's D-Bus, which no service child can reach.
fn os_keyring(may_be_asked: bool) -> Answer {
    Answer::Nothing(if may_be_asked {
        "allowed, but this release does not ask it".to_owned()
    } else {
        "not allowed".to_owned()
    })
}

fn walk<const N: usize>(
    sources: &Sources,
    tiers: [(Tier, &dyn Fn() -> Answer); N],
) -> Result<Unlocked, UnlockError> {
    let db_path = || sources.db_path.clone();
    let mut steps = Vec::with_capacity(N);
    for (tier, ask) in tiers {
        match ask() {
            Answer::Passphrase(passphrase) => return Ok(Unlocked { passphrase, tier }),
            Answer::Nothing(reason) => steps.push(Step { tier, reason }),
            Answer::Broken(reason) => {
                return Err(UnlockError::Broken { db_path: db_path(), tier, reason });
            }
        }
    }
    Err(UnlockError::NoAnswer { db_path: db_path(), steps })
}

/// Turns what a helper printed or a file held into a passphrase, or says why it is none.
fn passphrase_from(bytes: Secret<Vec<u8>>) -> Result<Secret<String>, &'static str> {
    match std::str::from_utf8(bytes.expose()) {
        Err(_) => Err("is not UTF-8"),
        // SQLCipher would take it for "no encryption".
        Ok("") => Err("is empty"),
        Ok(text) => Ok(text.to_owned().into()),
    }
}

/// Why there is no passphrase.
#[derive(Debug)]
pub enum UnlockError {
    /// Every tier was asked and none had one.
    NoAnswer { db_path: PathBuf, steps: Vec<Step> },
    /// A tier that is set up failed.
    Broken { db_path: PathBuf, tier: Tier, reason: String },
}

impl fmt::Display for UnlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer { db_path, steps } => {
                write!(f, "unlock vault {}: no passphrase", db_path.display())?;
                for (i, Step { tier, reason }) in steps.iter().enumerate() {
                    write!(f, "{}{tier}: {reason}", if i == 0 { ": " } else { "; " })?;
                }
                f.write_str("\nhint: run terokctl vault unlock")
            }
            Self::Broken { db_path, tier, reason } => {
                write!(f, "unlock vault {}: {tier}: {reason}", db_path.display())
            }
        }
    }
}

impl std::error::Error for UnlockError {}

#[cfg(test)]
mod tests;

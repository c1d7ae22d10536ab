//! Where the vault passphrase comes from.
//!
//! In come the places an operator may have put it; out comes the passphrase and the tier that had
//! it, or what every tier on the way answered. The order is that of trust: a passphrase sealed to
//! this machine first, then the desktop's keyring, the session's cache, a helper program.

mod sealed_file;

mod os_keyring;

pub mod session_cache;

mod command;

mod helper_program;

mod local_socket;

use std::fmt;
use std::path::PathBuf;

use terok_shared::secret::Secret;

pub use sealed_file::{SealError, seal};

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

/// What became of one tier on a walk through all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It had the passphrase.
    Answered,
    Nothing(String),
    Broken(String),
    /// An earlier tier had ended the walk.
    NotAsked,
}

/// A walk through the tiers: what each said, in order, and the passphrase if one had it.
#[derive(Debug)]
pub struct Walk {
    pub tiers: Vec<(Tier, Outcome)>,
    pub unlocked: Option<Unlocked>,
}

/// Walks the tiers in order; the first that answers wins. May take 30 s per helper program.
pub fn resolve(sources: &Sources) -> Result<Unlocked, UnlockError> {
    let walk = walk(sources);
    walk.unlocked.ok_or_else(|| UnlockError::of(sources.db_path.clone(), walk.tiers))
}

/// As `resolve`, for those who want to see the whole chain.
pub fn walk(sources: &Sources) -> Walk {
    ask_in_order([
        (Tier::SealedFile, &|| sealed_file::ask(&sources.sealed_file)),
        (Tier::OsKeyring, &|| os_keyring::ask(sources.use_keyring, &sources.session_directories)),
        (Tier::KernelKeyring, &|| session_cache::kernel_keyring::ask(&sources.db_path)),
        (Tier::SessionFile, &|| {
            session_cache::file::ask(&sources.session_directories, &sources.db_path)
        }),
        (Tier::Command, &|| command::ask(sources.passphrase_command.as_ref())),
    ])
}

fn ask_in_order<const N: usize>(tiers: [(Tier, &dyn Fn() -> Answer); N]) -> Walk {
    let mut walk = Walk { tiers: Vec::with_capacity(N), unlocked: None };
    let mut ended = false;
    for (tier, ask) in tiers {
        let outcome = match ended {
            true => Outcome::NotAsked,
            false => match ask() {
                Answer::Passphrase(passphrase) => {
                    walk.unlocked = Some(Unlocked { passphrase, tier });
                    Outcome::Answered
                }
                Answer::Nothing(reason) => Outcome::Nothing(reason),
                Answer::Broken(reason) => Outcome::Broken(reason),
            },
        };
        ended |= matches!(outcome, Outcome::Answered | Outcome::Broken(_));
        walk.tiers.push((tier, outcome));
    }
    walk
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
    /// A tier that is set up failed, after those of `steps` had nothing.
    Broken { db_path: PathBuf, steps: Vec<Step>, tier: Tier, reason: String },
}

impl UnlockError {
    fn of(db_path: PathBuf, tiers: Vec<(Tier, Outcome)>) -> Self {
        let mut steps = Vec::with_capacity(tiers.len());
        for (tier, outcome) in tiers {
            match outcome {
                Outcome::Nothing(reason) => steps.push(Step { tier, reason }),
                Outcome::Broken(reason) => return Self::Broken { db_path, steps, tier, reason },
                Outcome::Answered | Outcome::NotAsked => {}
            }
        }
        Self::NoAnswer { db_path, steps }
    }
}

impl fmt::Display for UnlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NoAnswer { db_path, steps } | Self::Broken { db_path, steps, .. }) = self;
        write!(f, "unlock vault {}: no passphrase: ", db_path.display())?;
        for Step { tier, reason } in steps {
            write!(f, "{tier}: {reason}; ")?;
        }
        match self {
            Self::NoAnswer { .. } => {
                f.write_str("nobody else to ask\nhint: run terokctl vault unlock")
            }
            // Its last line is a hint of its own.
            Self::Broken { tier, reason, .. } => write!(f, "{tier}: {reason}"),
        }
    }
}

impl std::error::Error for UnlockError {}

#[cfg(test)]
mod tests;

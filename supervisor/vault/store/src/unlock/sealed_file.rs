//! A passphrase that only this machine can read, sealed by systemd-creds(1).
//!
//! In comes the file's path; out comes what this machine made of it. Root of a rootless user
//! namespace asks systemd itself (`varlink`): there the program takes itself for real root and
//! reaches for the host key and the TPM, which are not open to it.

mod varlink;

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::Command;

use nix::unistd::geteuid;
use terok_shared::secret::Secret;

use super::helper_program::HelperError;
use super::{Answer, helper_program};

/// The name sealed into the file: a credential made for another purpose does not decrypt.
const CREDENTIAL_NAME: &str = "terok-sandbox.vault-passphrase";

const PROGRAM: &str = "systemd-creds";

/// Longest sealed file that is read, in bytes. One with a TPM policy has about two kilobytes.
const MAX_FILE: u64 = 64 * 1024;

/// The first release whose program decrypts what was sealed for a user
/// (systemd's NEWS, "CHANGES WITH 256").
const FIRST_FOR_USERS: u32 = 256;

const SEAL_AGAIN: &str = "seal the passphrase again on this machine, or remove the file";

/// Decrypts the file if it exists. One that exists and cannot be decrypted closes the chain.
pub(super) fn ask(file: &Path) -> Answer {
    let uid_map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    match outer_uid(geteuid().as_raw(), &uid_map) {
        Some(uid) => ask_systemd(Path::new(varlink::SOCKET), uid, file),
        None => ask_program(OsStr::new(PROGRAM), file),
    }
}

/// The uid that is root's of this user namespace outside of it (user_namespaces(7)); `None` for
/// real root and for everybody else.
fn outer_uid(euid: u32, uid_map: &str) -> Option<u32> {
    if euid != 0 {
        return None;
    }
    let outside_of_root = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
        let inside = numbers.next()?.ok()?;
        let outside = numbers.next()?.ok()?;
        (inside == 0 && outside != 0).then_some(outside)
    };
    uid_map.lines().find_map(outside_of_root)
}

fn ask_program(program: &OsStr, file: &Path) -> Answer {
    if let Some(answer) = absent(file) {
        return answer;
    }
    let mut command = Command::new(program);
    command.args(["decrypt", "--user"]).arg(format!("--name={CREDENTIAL_NAME}")).arg(file).arg("-");
    match helper_program::read(command) {
        Ok(passphrase) => Answer::Passphrase(passphrase),
        Err(why) => match too_old(program) {
            Some(release) => Answer::Broken(format!(
                "decrypt {}: {PROGRAM} {why}; it is of systemd {release}, and only systemd \
                 {FIRST_FOR_USERS} or later decrypts for a user\n\
                 hint: remove the file and use `terokctl vault unlock` or a passphrase command",
                file.display()
            )),
            None => broken(file, format_args!("{PROGRAM} {why}")),
        },
    }
}

/// Its release, where that is the reason why the program does not decrypt.
fn too_old(program: &OsStr) -> Option<u32> {
    let mut command = Command::new(program);
    command.arg("--version");
    let said = helper_program::read(command).ok()?;
    let release = said.expose().strip_prefix("systemd ")?.split(' ').next()?.parse().ok()?;
    (release < FIRST_FOR_USERS).then_some(release)
}

fn ask_systemd(socket: &Path, uid: u32, file: &Path) -> Answer {
    if let Some(answer) = absent(file) {
        return answer;
    }
    match read_sealed(file) {
        Err(why) => broken(file, format_args!("{why}")),
        Ok(sealed) => match varlink::decrypt(socket, CREDENTIAL_NAME, &sealed, uid) {
            Ok(passphrase) => Answer::Passphrase(passphrase),
            Err(why) => broken(file, format_args!("{why}")),
        },
    }
}

fn absent(file: &Path) -> Option<Answer> {
    match file.try_exists() {
        Ok(true) => None,
        Ok(false) => Some(Answer::Nothing(format!("no {}", file.display()))),
        Err(why) => Some(Answer::Broken(format!("look for {}: {why}", file.display()))),
    }
}

fn broken(file: &Path, why: fmt::Arguments<'_>) -> Answer {
    Answer::Broken(format!("decrypt {}: {why}\nhint: {SEAL_AGAIN}", file.display()))
}

fn read_sealed(file: &Path) -> io::Result<Vec<u8>> {
    let mut sealed = Vec::new();
    fs::File::open(file)?.take(MAX_FILE + 1).read_to_end(&mut sealed)?;
    if sealed.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("has more than {MAX_FILE} bytes")));
    }
    Ok(sealed)
}

/// Seals a passphrase to this machine and user, with the keys systemd-creds picks (the host's, and
/// the TPM's where there is one). The caller writes the result; it is base64 text.
///
/// # Errors
/// No systemd-creds, or one that cannot seal here: before systemd 256 none seals for a user, and root
/// of a rootless user namespace is refused the host's key.
pub fn seal(passphrase: &Secret<String>) -> Result<Vec<u8>, SealError> {
    let mut command = Command::new(PROGRAM);
    command.args(["encrypt", "--user"]).arg(format!("--name={CREDENTIAL_NAME}"));
    command.args(["--with-key=auto", "-", "-"]);
    let sealed = helper_program::filter(command, passphrase).map_err(SealError::Program)?;
    if sealed.is_empty() { Err(SealError::Nothing) } else { Ok(sealed) }
}

/// Why a passphrase could not be sealed.
#[derive(Debug)]
pub enum SealError {
    Program(HelperError),
    Nothing,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(why) => write!(f, "{PROGRAM} {why}"),
            Self::Nothing => write!(f, "{PROGRAM} printed nothing"),
        }
    }
}

impl std::error::Error for SealError {}

#[cfg(test)]
mod tests;

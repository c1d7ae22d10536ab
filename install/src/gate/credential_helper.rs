//! git's credential helper (gitcredentials(7)): hands the one credential that `terokctl gate` took
//! out of the vault to git, over pipes alone.
//!
//! The helper is started by git, which was started by `terokctl gate`: the credential waits in a
//! pipe at a fixed descriptor that all of them inherit. git says on standard input for whom it
//! asks; nobody but the upstream's own host gets an answer.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::RawFd;

use terok_shared::secret::Secret;
use terok_shared::sys::descriptors;

use crate::Failure;
use crate::cli::CredentialHelperArgs;

/// Where the helper finds the pipe.
pub(super) const CREDENTIAL_FD: RawFd = 9;
/// Longest request and longest credential; a pipe holds as much without a reader (pipe(7)).
const MAX_BYTES: u64 = 16 * 1024;

pub(super) fn run(args: &CredentialHelperArgs) -> Result<(), Failure> {
    if args.operation != "get" {
        return Ok(());
    }
    let mut asked = String::new();
    io::stdin().lock().take(MAX_BYTES).read_to_string(&mut asked)?;
    if origin(&asked).as_deref() != Some(args.origin.as_str()) {
        return Ok(());
    }
    // Absent when git asks again, or when somebody else started us.
    let Ok(pipe) = descriptors::take(CREDENTIAL_FD) else { return Ok(()) };
    let mut credential = Vec::new();
    File::from(pipe).take(MAX_BYTES).read_to_end(&mut credential)?;
    let credential = Secret::from(credential);
    io::stdout().lock().write_all(credential.expose())?;
    Ok(())
}

/// The answer git expects (git-credential(1), "Input/Output Format"); `None` for a secret that
/// cannot be a line.
pub(super) fn answer(user: &str, secret: &Secret<String>) -> Option<Secret<Vec<u8>>> {
    let plain = |text: &str| !text.contains(['\n', '\0']);
    let fits = plain(secret.expose()) && (secret.expose().len() as u64) < MAX_BYTES / 2;
    fits.then(|| {
        Secret::from(format!("username={user}\npassword={}\n", secret.expose()).into_bytes())
    })
}

fn origin(asked: &str) -> Option<String> {
    let member = |wanted: &str| {
        asked.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key == wanted).then_some(value)
        })
    };
    Some(format!("{}://{}", member("protocol")?, member("host")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_names_its_origin() {
        let asked = "protocol=https\nhost=h:8443\npath=p\n";
        assert_eq!(origin(asked).as_deref(), Some("https://h:8443"));
        assert_eq!(origin("host=h\n"), None);
    }

    #[test]
    fn a_secret_is_one_line_or_nothing() {
        let secret = |text: &str| Secret::from(text.to_owned());
        let told = answer("x-access-token", &secret("abc")).unwrap();
        assert_eq!(told.expose(), b"username=x-access-token\npassword=abc\n");
        assert!(answer("u", &secret("a\nquit=1")).is_none());
        assert!(answer("u", &secret(&"a".repeat(20_000))).is_none());
    }
}

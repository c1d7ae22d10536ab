//! A passphrase that only this machine can read, sealed by systemd-creds(1).
//!
//! In comes the file's path; out comes what `systemd-creds decrypt` made of it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::{Answer, helper_program};

/// The name sealed into the file: a credential made for another purpose does not decrypt.
const CREDENTIAL_NAME: &str = "terok-sandbox.vault-passphrase";

const PROGRAM: &str = "systemd-creds";

/// Decrypts the file if it exists. One that exists and cannot be decrypted closes the chain.
pub(super) fn ask(file: &Path) -> Answer {
    ask_program(OsStr::new(PROGRAM), file)
}

fn ask_program(program: &OsStr, file: &Path) -> Answer {
    match file.try_exists() {
        Ok(true) => {}
        Ok(false) => return Answer::Nothing(format!("no {}", file.display())),
        Err(error) => return Answer::Broken(format!("look for {}: {error}", file.display())),
    }
    let mut command = Command::new(program);
    command.args(["decrypt", "--user"]).arg(format!("--name={CREDENTIAL_NAME}")).arg(file).arg("-");
    match helper_program::read(command) {
        Ok(passphrase) => Answer::Passphrase(passphrase),
        Err(error) => Answer::Broken(format!(
            "decrypt {}: {PROGRAM} {error}\n\
             hint: seal the passphrase again on this machine, or remove the file",
            file.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_absent_file_is_passed_over() {
        assert!(matches!(ask(Path::new("/nonexistent/x.cred")), Answer::Nothing(_)));
    }

    #[test]
    fn a_file_that_cannot_be_decrypted_closes_the_chain() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("vault.passphrase.cred");
        std::fs::write(&file, "sealed").unwrap();
        for program in ["/nonexistent/systemd-creds", "/bin/false"] {
            let answer = ask_program(OsStr::new(program), &file);
            assert!(matches!(answer, Answer::Broken(_)), "{program}");
        }
    }

    #[test]
    fn the_file_is_decrypted_for_this_purpose_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("vault.passphrase.cred");
        std::fs::write(&file, "sealed").unwrap();
        let program = directory.path().join("systemd-creds");
        std::fs::write(&program, "#!/bin/sh\necho \"$@\"\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let Answer::Passphrase(printed) = ask_program(program.as_os_str(), &file) else {
            panic!("no passphrase");
        };
        let expected =
            format!("decrypt --user --name=terok-sandbox.vault-passphrase {} -", file.display());
        assert_eq!(printed.expose(), &expected);
    }
}

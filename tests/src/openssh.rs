//! Stock OpenSSH as a client of an agent socket, and as judge of its signatures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What a signature is for; ssh-keygen wants a word (PROTOCOL.sshsig).
const NAMESPACE: &str = "file";
const WHO: &str = "tester";

/// `ssh-add -L`: the public keys the agent offers.
pub fn list_keys(agent: &Path) -> Output {
    run(Command::new("ssh-add").arg("-L"), agent)
}

/// `ssh-keygen -Y sign` of a file with the agent's private half of `public_key`; the signature's
/// file, or what ssh-keygen said.
pub fn sign(agent: &Path, directory: &Path, public_key: &str) -> Result<PathBuf, String> {
    let (key, message) = (directory.join("key.pub"), directory.join("message"));
    let signature = directory.join("message.sig");
    fs::write(&key, format!("{public_key}\n")).unwrap();
    fs::write(&message, "a message").unwrap();
    let _ = fs::remove_file(&signature);
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "sign", "-n", NAMESPACE, "-f"]).arg(&key).arg(&message);
    let output = run(&mut command, agent);
    match output.status.success() {
        true => Ok(signature),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// `ssh-keygen -Y verify` of what [`sign`] made in `directory`, on a machine that knows only the
/// public key.
pub fn verify(directory: &Path, public_key: &str, message: &str) -> bool {
    let allowed = directory.join("allowed");
    fs::write(&allowed, format!("{WHO} {public_key}\n")).unwrap();
    fs::write(directory.join("heard"), message).unwrap();
    let heard = fs::File::open(directory.join("heard")).unwrap();
    Command::new("ssh-keygen")
        .args(["-Y", "verify", "-n", NAMESPACE, "-I", WHO, "-f"])
        .arg(&allowed)
        .arg("-s")
        .arg(directory.join("message.sig"))
        .stdin(heard)
        .output()
        .unwrap()
        .status
        .success()
}

fn run(command: &mut Command, agent: &Path) -> Output {
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("SSH_AUTH_SOCK", agent)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

//! What the hooks ask git about the repository and the push in quarantine. Runs `git` in the
//! environment the hook was given, which names both (git-receive-pack(1), "Quarantine
//! Environment").

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// The variable that tells a hook where the program for SSH signatures is.
pub(crate) const SSH_KEYGEN: &str = "TEROK_SSH_KEYGEN";
/// Refs, or commits, in one call: far below the limit of arguments (execve(2)).
const AT_ONCE: usize = 500;
/// The variables by which git knows of a quarantine, and refuses to move refs in it.
const QUARANTINE: [&str; 3] =
    ["GIT_QUARANTINE_PATH", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES"];

/// A ref as the repository has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tip {
    pub(crate) object: String,
    pub(crate) is_symbolic: bool,
}

/// git failed or said something that cannot be.
#[derive(Debug)]
pub(crate) struct NoAnswer;

/// When git cannot tell, the answer is no.
pub(crate) fn is_ancestor(old: &str, new: &str) -> bool {
    succeeds(git().args(["merge-base", "--is-ancestor", old, new]))
}

/// Makes a ref that points at an object the repository has had before this push.
pub(crate) fn make_ref(name: &[u8], object: &str) -> bool {
    let mut git = git();
    QUARANTINE.iter().for_each(|variable| {
        git.env_remove(variable);
    });
    succeeds(git.arg("update-ref").arg(OsStr::from_bytes(name)).arg(object))
}

/// The newest ref below `directory` that points at `object`.
pub(crate) fn newest_ref_to(object: &str, directory: &[u8]) -> Option<Vec<u8>> {
    let said = git()
        .args(["for-each-ref", "--format=%(refname)", "--sort=-refname", "--count=1"])
        .args(["--points-at", object])
        .arg(OsStr::from_bytes(directory))
        .output()
        .ok()?;
    let name = said.stdout.strip_suffix(b"\n").unwrap_or(&said.stdout).to_vec();
    (said.status.success() && !name.is_empty()).then_some(name)
}

/// Where each of these refs points now; absent ones are left out.
pub(crate) fn tips(names: &[&[u8]]) -> Result<HashMap<Vec<u8>, Tip>, NoAnswer> {
    let mut tips = HashMap::new();
    for some in names.chunks(AT_ONCE) {
        let said = git()
            .args(["for-each-ref", "--format=%(objectname) %(refname) %(symref)"])
            .args(some.iter().map(|name| OsStr::from_bytes(name)))
            .output()
            .map_err(|_| NoAnswer)?;
        if !said.status.success() {
            return Err(NoAnswer);
        }
        for line in said.stdout.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let mut words = line.splitn(3, |&byte| byte == b' ');
            let mut word = || words.next().ok_or(NoAnswer);
            let (object, name, target) = (word()?, word()?, word()?);
            let object = String::from_utf8(object.to_vec()).map_err(|_| NoAnswer)?;
            // The pattern `refs/a` also finds `refs/a/b`, which then nobody asks for.
            tips.insert(name.to_vec(), Tip { object, is_symbolic: !target.is_empty() });
        }
    }
    Ok(tips)
}

/// A blob of more than `max` bytes among what the push brings.
pub(crate) fn larger_blob(pushed: &[&str], max: u64) -> Result<Option<String>, NoAnswer> {
    let filter = format!("--filter=blob:limit={}", max.saturating_add(1));
    // What the filter leaves out is printed with a `~`.
    let options = ["--objects", "--no-object-names", "--filter-print-omitted", &filter];
    let (mut walk, lines) = walk_new(&options, pushed)?;
    for line in BufReader::new(lines).lines() {
        let line = line.map_err(|_| NoAnswer)?;
        if let Some(blob) = line.strip_prefix('~') {
            let _ = walk.kill();
            let _ = walk.wait();
            return Ok(Some(blob.to_owned()));
        }
    }
    if walk.wait().is_ok_and(|status| status.success()) { Ok(None) } else { Err(NoAnswer) }
}

/// A commit among what the push brings that has no good SSH signature by one of `signers`.
pub(crate) fn unsigned_commit(pushed: &[&str], signers: &Path) -> Result<Option<String>, NoAnswer> {
    let (mut walk, lines) = walk_new(&[], pushed)?;
    let commits: Vec<String> =
        BufReader::new(lines).lines().collect::<Result<_, _>>().map_err(|_| NoAnswer)?;
    if !walk.wait().is_ok_and(|status| status.success()) {
        return Err(NoAnswer);
    }
    for some in commits.chunks(AT_ONCE) {
        if !all_signed(some, signers)? {
            let unsigned = some
                .iter()
                .find(|one| !all_signed(std::slice::from_ref(*one), signers).unwrap_or(false));
            return Ok(Some(unsigned.unwrap_or(&some[0]).clone()));
        }
    }
    Ok(None)
}

fn all_signed(commits: &[String], signers: &Path) -> Result<bool, NoAnswer> {
    let program = std::env::var(SSH_KEYGEN).map_err(|_| NoAnswer)?;
    let setting = |key: &str, value: &str| [String::from("-c"), format!("{key}={value}")];
    let signers = signers.to_str().ok_or(NoAnswer)?;
    let mut git = git();
    git.args(setting("gpg.ssh.program", &program))
        .args(setting("gpg.ssh.allowedSignersFile", signers))
        .args(setting("gpg.ssh.revocationFile", ""))
        // A good signature by nobody known is not enough.
        .args(setting("gpg.minTrustLevel", "fully"))
        .arg("verify-commit")
        .args(commits);
    // git hands signatures over in files; those in quarantine go with it.
    if let Some(quarantine) = std::env::var_os("GIT_QUARANTINE_PATH") {
        git.env("TMPDIR", quarantine);
    }
    Ok(succeeds(&mut git))
}

/// `git rev-list` over what `pushed` reaches and no ref of the repository does.
fn walk_new(options: &[&str], pushed: &[&str]) -> Result<(Child, ChildStdout), NoAnswer> {
    let mut walk = git()
        .arg("rev-list")
        .args(options)
        .args(["--stdin", "--not", "--all"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|_| NoAnswer)?;
    let mut stdin = walk.stdin.take().expect("it is a pipe");
    // git reads its whole input before it prints anything.
    let written = stdin.write_all((pushed.join("\n") + "\n").as_bytes());
    drop(stdin);
    written.map_err(|_| NoAnswer)?;
    let stdout = walk.stdout.take().expect("it is a pipe");
    Ok((walk, stdout))
}

fn git() -> Command {
    let mut git = Command::new("git");
    git.stdin(Stdio::null()).stderr(Stdio::null());
    git
}

fn succeeds(git: &mut Command) -> bool {
    git.stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

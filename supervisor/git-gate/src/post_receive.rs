//! The hook git runs after the refs of a push were updated (githooks(5), "post-receive"): saves
//! what the push threw away, and leaves the push marker.
//!
//! In: the updated refs on standard input, the repository in `GIT_DIR`. Out: backup refs, the
//! marker, and lines on standard error, which git passes on to the pushing client. The push has
//! happened already, so nothing here can fail it; this program's own exit status is always 0.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use jiff::Timestamp;
use terok_shared::sys::descriptors;

use crate::backup::{self, Need, Update};
use crate::marker;

/// Longest list of updates; a push of 50 000 refs has about 8 MiB.
const MAX_INPUT: u64 = 64 * 1024 * 1024;
const STAMP: &str = "%Y%m%dT%H%M%SZ";
const FIRST_STRAY: i32 = 3;

pub(crate) fn main() -> ExitCode {
    if let Err(why) = descriptors::close_from(FIRST_STRAY) {
        tell(format!("WARNING could not close stray descriptors: {why}").as_bytes());
    }
    let mut updates = Vec::new();
    if let Err(why) = io::stdin().lock().take(MAX_INPUT).read_to_end(&mut updates) {
        tell(format!("WARNING could not read the updated refs: {why}").as_bytes());
    }
    let now = Timestamp::now();
    let notes: Vec<_> = updates
        .split(|&byte| byte == b'\n')
        .filter_map(Update::parse)
        .filter_map(|update| save(&update, now))
        .collect();
    let git_directory = std::env::var_os("GIT_DIR").map_or_else(|| PathBuf::from("."), Into::into);
    if let Err(why) = marker::write(&git_directory, now, &updates, &notes) {
        tell(format!("WARNING could not write the push marker: {why}").as_bytes());
    }
    ExitCode::SUCCESS
}

/// Saves the old tip when the update threw it away; the answer is the marker's note about it.
fn save(update: &Update<'_>, now: Timestamp) -> Option<Vec<u8>> {
    let forwarded = match update.need() {
        Need::Nothing => true,
        Need::Backup => false,
        Need::BackupUnlessForwarded => is_ancestor(update.old, update.new),
    };
    if forwarded {
        return None;
    }
    let branch = update.branch()?;
    let backup = backup::name(branch, &now.strftime(STAMP).to_string(), update.old);
    if git(&[b"update-ref", &backup, update.old.as_bytes()]) {
        tell(&[b"saved ", backup.as_slice()].concat());
        return Some([b"backed-up ", backup.as_slice()].concat());
    }
    let old = update.old.as_bytes();
    tell(&[b"WARNING could not back up ", branch, b", whose old tip was ", old].concat());
    Some([b"backup-FAILED ", branch, b" ", old].concat())
}

/// When git cannot tell, the answer is no, and a backup more than needed is made.
fn is_ancestor(old: &str, new: &str) -> bool {
    git(&[b"merge-base", b"--is-ancestor", old.as_bytes(), new.as_bytes()])
}

/// Runs a git command in the repository that `GIT_DIR` names.
fn git(arguments: &[&[u8]]) -> bool {
    Command::new("git")
        .args(arguments.iter().map(|argument| OsStr::from_bytes(argument)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A line for the client's terminal, where it appears as `remote: gate: …`.
fn tell(words: &[u8]) {
    // The client may be gone; the push stands all the same.
    let _ = io::stderr().lock().write_all(&[b"gate: ", words, b"\n"].concat());
}

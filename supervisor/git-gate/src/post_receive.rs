//! The hook git runs after the refs of a push were updated (githooks(5), "post-receive"): makes
//! sure that what the push threw away is saved, and leaves the push marker.
//!
//! In: the updated refs on standard input, the repository in `GIT_DIR`. Out: backup refs that
//! `pre-receive` could not make, the marker, news for the gate, and lines on standard error, which
//! git passes on to the pushing client. The push has happened already, so nothing here can fail
//! it; this program's own exit status is always 0.

use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;

use crate::ask_git;
use crate::backup;
use crate::hook::{self, Hook};
use crate::marker;
use crate::news;
use crate::pre_receive::{STAMP, loses_its_tip};
use crate::update::Update;

pub(crate) fn main() -> ExitCode {
    let mut hook = Hook::begin();
    let input = std::mem::take(&mut hook.input);
    let now = Timestamp::now();
    let mut notes = Vec::new();
    for update in hook::updates(&input) {
        let backup = match loses_its_tip(&update).then(|| save(&update, now)) {
            None => None,
            Some(Ok(backup)) => {
                hook.tell(&[b"saved ", backup.as_slice()].concat());
                notes.push([b"backed-up ", backup.as_slice()].concat());
                Some(backup)
            }
            Some(Err(branch)) => {
                let old = update.old.as_bytes();
                hook.tell(
                    &[b"WARNING could not back up ", branch, b", whose old tip was ", old].concat(),
                );
                notes.push([b"backup-FAILED ", branch, b" ", old].concat());
                None
            }
        };
        hook.report(&news::updated(&update, backup.as_deref()));
    }
    let git_directory = std::env::var_os("GIT_DIR").map_or_else(|| PathBuf::from("."), Into::into);
    if let Err(why) = marker::write(&git_directory, now, &input, &notes) {
        hook.tell(format!("WARNING could not write the push marker: {why}").as_bytes());
    }
    ExitCode::SUCCESS
}

/// The ref that keeps the old tip: the one made before the update, else one made now. On failure
/// the branch's name.
fn save<'a>(update: &Update<'a>, now: Timestamp) -> Result<Vec<u8>, &'a [u8]> {
    let branch = update.branch().unwrap_or(update.name);
    if let Some(found) = ask_git::newest_ref_to(update.old, &backup::directory(branch)) {
        return Ok(found);
    }
    let backup = backup::name(branch, &now.strftime(STAMP).to_string(), update.old);
    if ask_git::make_ref(&backup, update.old) { Ok(backup) } else { Err(branch) }
}

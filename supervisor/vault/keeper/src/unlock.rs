//! From passphrase sources to an open vault, for as long as that takes.
//!
//! A vault that cannot be opened is no reason to die: the operator may unlock it while the
//! container runs. Until then every question is thrown away unread and answered with one notice,
//! and a question is what makes us try again, so an idle container costs nothing.

use std::os::fd::AsFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use terok_service::Failure;
use terok_shared::handover::KeeperSlice;
use terok_shared::secret::Secret;
use vault_grant::{LineError, Notice, Reply};
use vault_store::Vault;
use vault_store::unlock::{Sources, resolve};

use crate::asker::Asker;

/// Between two attempts: each may cost a key derivation.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) fn unlock(slice: KeeperSlice, askers: &[Asker]) -> Result<Vault, Failure> {
    let mut sources = Sources {
        db_path: slice.db_path,
        sealed_file: slice.sealed_passphrase,
        use_keyring: slice.use_keyring,
        session_directories: slice.session_directories,
        passphrase_command: slice.passphrase_command.map(Secret::from),
    };
    let mut last_words = String::new();
    loop {
        let began = Instant::now();
        match attempt(&sources) {
            Ok(vault) => return Ok(vault),
            Err(why) if why != last_words => {
                log::error!("{why}");
                last_words = why;
            }
            Err(_) => {}
        }
        // A helper may ask its operator something; a container must not make it ask again.
        sources.passphrase_command = None;
        refuse_all(askers);
        wait_for_question(askers)?;
        sleep(PAUSE.saturating_sub(began.elapsed()));
    }
}

fn attempt(sources: &Sources) -> Result<Vault, String> {
    let unlocked = resolve(sources).map_err(|why| why.to_string())?;
    let vault = Vault::open(&sources.db_path, &unlocked.passphrase)
        .map_err(|why| format!("{why} (passphrase from: {})", unlocked.tier))?;
    log::info!("vault {} unlocked by {}", sources.db_path.display(), unlocked.tier);
    Ok(vault)
}

/// Throws away what was asked, unread, and says why to both.
fn refuse_all(askers: &[Asker]) {
    for asker in askers {
        while asker.line.discard().is_ok() {}
        asker.say(&Reply::Notice(Notice::Locked));
    }
}

/// Waits without a bound; the questions stay on the line.
fn wait_for_question(askers: &[Asker]) -> Result<(), Failure> {
    let mut lines: Vec<PollFd<'_>> =
        askers.iter().map(|asker| PollFd::new(asker.line.as_fd(), PollFlags::POLLIN)).collect();
    match poll(&mut lines, PollTimeout::NONE) {
        Ok(_) | Err(nix::Error::EINTR) => {}
        Err(errno) => return Err(errno.into()),
    }
    let hung_up = lines
        .iter()
        .all(|line| line.revents().is_some_and(|events| events.contains(PollFlags::POLLHUP)));
    if hung_up { Err(LineError::Closed.into()) } else { Ok(()) }
}

//! The passphrase in the desktop's keyring: an item of the Secret Service
//! (specifications.freedesktop.org/secret-service) with attributes that the operator's other
//! programs look for too.
//!
//! In come the places of the session's bus; out comes the passphrase of an item that is unlocked
//! already. Nothing here asks the operator, starts a service or takes longer than three seconds. A
//! keyring that cannot answer has nothing: it is never the only tier.

#[cfg(feature = "keyring")]
mod bus;

#[cfg(feature = "keyring")]
mod lookup;

#[cfg(feature = "keyring")]
mod marshal;

use std::path::PathBuf;

use super::Answer;

/// Asks the keyring if it may be asked and this build can.
pub(super) fn ask(may_be_asked: bool, session_directories: &[PathBuf]) -> Answer {
    if !may_be_asked {
        return Answer::Nothing("not allowed".to_owned());
    }
    ask_service(session_directories)
}

#[cfg(not(feature = "keyring"))]
fn ask_service(_: &[PathBuf]) -> Answer {
    Answer::Nothing("allowed, but this build cannot ask it".to_owned())
}

#[cfg(feature = "keyring")]
fn ask_service(session_directories: &[PathBuf]) -> Answer {
    let named = std::env::var_os("DBUS_SESSION_BUS_ADDRESS");
    match lookup::find(&lookup::buses(named.as_deref(), session_directories)) {
        Ok(passphrase) => Answer::Passphrase(passphrase),
        Err(why) => Answer::Nothing(why.to_string()),
    }
}

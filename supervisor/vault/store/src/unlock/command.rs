//! The operator's own helper: any program that prints the passphrase.
//!
//! In comes the configured command line; out comes what it printed. It is split as a shell would
//! split it, but no shell runs it. Its text may hold vault paths or worse and is never repeated.

use std::process::Command;

use terok_shared::secret::Secret;
use zeroize::Zeroizing;

use super::{Answer, helper_program};

const RUN_BY_HAND: &str = "run the command by hand to see what it says";

/// Runs the command if there is one. A command that fails closes the chain.
pub(super) fn ask(command: Option<&Secret<String>>) -> Answer {
    let Some(text) = command else {
        return Answer::Nothing("not configured".to_owned());
    };
    let words = match shlex::split(text.expose()) {
        Some(words) => Zeroizing::new(words),
        None => return Answer::Broken("its quotes do not match".to_owned()),
    };
    let Some((program, arguments)) = words.split_first() else {
        return Answer::Nothing("not configured".to_owned());
    };
    let mut command = Command::new(program);
    command.args(arguments);
    match helper_program::read(command) {
        Ok(passphrase) => Answer::Passphrase(passphrase),
        Err(error) => Answer::Broken(format!("{error}\nhint: {RUN_BY_HAND}")),
    }
}

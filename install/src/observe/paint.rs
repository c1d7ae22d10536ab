//! Colour, where somebody looks: on a terminal, unless `NO_COLOR` is set (no-color.org).

use std::env;
use std::io::{IsTerminal, stdout};

#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(bool);

/// SGR codes of ECMA-48 § 8.3.117.
#[derive(Clone, Copy, Debug)]
pub(super) enum Colour {
    Good = 32,
    Doubtful = 33,
    Bad = 31,
    Faint = 2,
}

impl Paint {
    pub(super) fn of_stdout() -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_none_or(|term| term == "dumb");
        Self(stdout().is_terminal() && set("NO_COLOR").is_none() && !dumb)
    }

    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self(false)
    }

    /// The text, of the same width on screen.
    pub(super) fn with(self, colour: Colour, text: &str) -> String {
        if self.0 { format!("\x1b[{}m{text}\x1b[0m", colour as u8) } else { text.to_owned() }
    }
}

//! Where a supervisor lives: as a daemon among the runtime's own processes, or as a unit of the
//! operator's service manager. And what the hook hands the latter, which inherits nothing.

use std::os::fd::RawFd;

use serde::{Deserialize, Serialize};

/// How the supervisor's program is called by the service manager, a socket's path behind it.
pub const ARGUMENT: &str = "--placed";
/// The supervisor's end of the readiness pipe, placed either way.
pub const READINESS_FD: RawFd = 3;
/// Bound of one handover in bytes: a path and a few words.
pub const MAX_BYTES: usize = 16 * 1024;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// As a unit where that makes a difference and a service manager answers.
    #[default]
    Auto,
    Daemon,
    Unit,
}

impl Placement {
    pub const WORDS: &str = "`auto`, `daemon` or `unit`";

    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "auto" => Some(Self::Auto),
            "daemon" => Some(Self::Daemon),
            "unit" => Some(Self::Unit),
            _ => None,
        }
    }
}

/// All that is said on the socket, in JSON, with two descriptors at its beginning: the container's
/// log, then the readiness pipe's writing end.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// Of the supervisor, without its program.
    pub arguments: Vec<String>,
    /// All of its environment; the service manager's own holds whatever a login put there.
    pub environment: Vec<(String, String)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placement_is_one_of_three_words() {
        assert_eq!(Placement::parse("auto"), Some(Placement::default()));
        assert_eq!(Placement::parse("daemon"), Some(Placement::Daemon));
        assert_eq!(Placement::parse("unit"), Some(Placement::Unit));
        assert_eq!(Placement::parse("Unit"), None);
    }
}

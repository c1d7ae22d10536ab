//! Exit statuses of our programs, as the parent and scripts read them.

use std::process::ExitCode;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Clean = 0,
    /// The hook refuses the container's start (only with `required`).
    Refused = 1,
    /// The sidecar or a slice of it cannot be used: retrying changes nothing.
    BadSidecar = 2,
    /// The parent could start no service at all.
    NothingStarted = 3,
    /// A service could not start: its parent tries again later.
    ServiceFailed = 4,
}

impl Exit {
    pub fn code(self) -> i32 {
        self as i32
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

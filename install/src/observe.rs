//! What an operator sees of running containers, and what they can do about it.
//!
//! `known` gathers what files and the kernel tell; `status`, `logs` and `doctor` say it, `respawn`
//! brings a supervisor back.

mod clock;
mod fold;
mod grown;
mod known;
mod paint;
mod podman;
mod requests;
mod supervisors;
mod tree;

mod audit;
mod doctor;
mod logs;
mod respawn;
mod status;
mod version;

pub(crate) use self::audit::{run as audit, since};
pub(crate) use self::doctor::{Broken, run as doctor};
pub(crate) use self::logs::run as logs;
pub(crate) use self::respawn::run as respawn;
pub(crate) use self::status::run as status;
pub(crate) use self::version::run as version;

/// How many of this operator's containers are being served.
///
/// # Errors
/// The list of processes cannot be read.
pub(crate) fn served(directories: &crate::directories::Directories) -> std::io::Result<usize> {
    Ok(supervisors::of(&directories.state.sidecars())?.len())
}

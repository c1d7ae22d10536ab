//! What a process gives up before it reads a single foreign byte: being dumped or traced, core
//! files, new privileges, capabilities, and outliving its parent.

use std::fmt;

use caps::CapSet;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::getppid;
use terok_shared::handover::Common;

#[derive(Debug)]
pub(crate) enum HardenError {
    Call { what: &'static str, why: nix::Error },
    Capabilities { set: CapSet, why: caps::errors::CapsError },
    ParentGone,
}

/// Applies every measure, in this order; each one must hold.
pub(crate) fn harden() -> Result<(), HardenError> {
    let call = |what| move |why| HardenError::Call { what, why };
    forbid_core_files().map_err(call("forbid core files"))?;
    prctl::set_no_new_privs().map_err(call("set no_new_privs"))?;
    drop_capabilities()?;
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(call("set the parent-death signal"))?;
    // Last, because a change of credentials sets the flag anew (PR_SET_DUMPABLE(2const)).
    prctl::set_dumpable(false).map_err(call("clear the dump flag"))
}

/// What needs the parent's word: whether that parent still lives, and whether a debugger may look.
pub(crate) fn settle(common: &Common) -> Result<(), HardenError> {
    // The parent may have died before the signal was armed (PR_SET_PDEATHSIG(2const)).
    if getppid().as_raw() != common.parent_pid {
        return Err(HardenError::ParentGone);
    }
    if common.allow_debugger {
        prctl::set_dumpable(true)
            .map_err(|why| HardenError::Call { what: "set the dump flag", why })?;
    }
    Ok(())
}

/// One byte rather than none: too little for a core file, and the one limit that also stops a core
/// from being piped to a program (core_pattern); a limit of zero would not (core(5), `do_coredump`
/// in the kernel's fs/coredump.c). A hard limit that is zero already cannot be raised again.
fn forbid_core_files() -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_CORE)?;
    let limit = hard.min(1);
    setrlimit(Resource::RLIMIT_CORE, limit, limit)
}

/// Empties every set. The bounding set can only be emptied by a process that has CAP_SETPCAP; one
/// without has nothing to regain either, since no_new_privs is set. The effective set falls with
/// the permitted one, the ambient set with either of the last two (capabilities(7)).
fn drop_capabilities() -> Result<(), HardenError> {
    let drop = |set| caps::clear(None, set).map_err(|why| HardenError::Capabilities { set, why });
    if caps::has_cap(None, CapSet::Effective, caps::Capability::CAP_SETPCAP)
        .map_err(|why| HardenError::Capabilities { set: CapSet::Effective, why })?
    {
        drop(CapSet::Bounding)?;
    }
    drop(CapSet::Permitted)?;
    drop(CapSet::Inheritable)
}

impl fmt::Display for HardenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { what, why } => write!(f, "{what}: {why}"),
            Self::Capabilities { set, why } => {
                write!(f, "drop {set:?} capabilities: {why}")
            }
            Self::ParentGone => write!(f, "the supervisor ended before this service began"),
        }
    }
}

impl std::error::Error for HardenError {}

//! Confinement: a Landlock lane of the file system (landlock(7)), and the system calls in `calls`.
//!
//! Applied after a service has opened what it needs and before it reads from a peer. Both must
//! hold: a kernel without Landlock gets no service. Newer Landlock rights (network, scopes) are
//! used where the kernel has them; sockets are closed by seccomp on every kernel.

use std::path::PathBuf;
use std::time::Duration;
use std::{fmt, fs, io, thread};

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope,
};

use crate::calls;

/// Newest Landlock interface whose rights we handle; older kernels get what they have.
const ABI_USED: ABI = ABI::V6;

/// What a service may still reach. Paths that do not exist are left out.
#[derive(Debug, Default)]
pub struct Lane {
    /// Files and directories to read.
    pub read: Vec<PathBuf>,
    /// Directories to read, write, create and remove in.
    pub write: Vec<PathBuf>,
    /// Files and directories to read and execute.
    pub execute: Vec<PathBuf>,
    pub sockets: Sockets,
    /// The only system calls left, by number, for a service that knows them all; what no service
    /// may call is refused even if it is named here.
    pub calls: Option<&'static [libc::c_long]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sockets {
    /// No socket call but on descriptors it already has.
    #[default]
    Inherited,
    /// Inherited listeners, and new connections out over IP; none to sockets of this machine's
    /// file system, where session buses and container engines listen.
    Dial,
}

#[derive(Debug)]
pub enum ConfineError {
    Threads(usize),
    CountThreads(io::Error),
    Landlock(RulesetError),
    LandlockMissing,
    Seccomp(String),
}

/// Enters the lane for good, with every thread and process started from here on.
///
/// Both barriers hold for the calling thread alone (landlock(7), seccomp(2)), so this must be the
/// only one.
pub fn confine(lane: &Lane) -> Result<(), ConfineError> {
    only_thread()?;
    enter_landlock(lane)?;
    calls::refuse(lane).map_err(ConfineError::Seccomp)
}

fn only_thread() -> Result<(), ConfineError> {
    // A thread that was joined may be listed a moment longer.
    for _ in 0..20 {
        if threads()? == 1 {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Err(ConfineError::Threads(threads()?))
}

fn threads() -> Result<usize, ConfineError> {
    Ok(fs::read_dir("/proc/self/task").map_err(ConfineError::CountThreads)?.count())
}

fn enter_landlock(lane: &Lane) -> Result<(), ConfineError> {
    let status = landlock_lane(lane).map_err(ConfineError::Landlock)?;
    if status.ruleset == RulesetStatus::NotEnforced {
        return Err(ConfineError::LandlockMissing);
    }
    Ok(())
}

fn landlock_lane(lane: &Lane) -> Result<RestrictionStatus, RulesetError> {
    let all = AccessFs::from_all(ABI_USED);
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let run = AccessFs::from_read(ABI_USED);
    // Creating devices is nobody's business here.
    let write = (all & !AccessFs::Execute) & !(AccessFs::MakeChar | AccessFs::MakeBlock);
    let network = match lane.sockets {
        Sockets::Inherited => AccessNet::BindTcp | AccessNet::ConnectTcp,
        Sockets::Dial => AccessNet::BindTcp.into(),
    };
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(all)?
        .handle_access(network)?
        .scope(Scope::from_all(ABI_USED))?
        .create()?;
    for (paths, access) in [(&lane.read, read), (&lane.write, write), (&lane.execute, run)] {
        ruleset = allow(ruleset, paths, access)?;
    }
    ruleset.restrict_self()
}

fn allow(
    mut ruleset: RulesetCreated,
    paths: &[PathBuf],
    access: landlock::BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    for path in paths {
        let Ok(directory) = PathFd::new(path) else { continue };
        // A rule on a file may only name rights of files.
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(ABI_USED) };
        ruleset = ruleset.add_rule(PathBeneath::new(directory, access))?;
    }
    Ok(ruleset)
}

impl fmt::Display for ConfineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Threads(count) => {
                write!(f, "confine a process of {count} threads: all but one would stay free")
            }
            Self::CountThreads(why) => write!(f, "count own threads in /proc/self/task: {why}"),
            Self::Landlock(why) => write!(f, "enter the Landlock lane: {why}"),
            Self::LandlockMissing => write!(
                f,
                "enter the Landlock lane: this kernel has no Landlock in force\n\
                 hint: boot Linux 5.13 or later with `landlock` in the lsm= list"
            ),
            Self::Seccomp(why) => write!(f, "refuse system calls: {why}"),
        }
    }
}

impl std::error::Error for ConfineError {}

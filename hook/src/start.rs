//! Starting the supervisor of one container, once, and waiting until its listeners are bound.
//!
//! A lock on the sidecar file makes two hooks of one container (podman runs both `prestart` and
//! `createRuntime` descriptors) take turns; the second finds the first one's supervisor alive.

use std::fmt;
use std::fs::{DirBuilder, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use terok_hook::operator;
use terok_shared::annotation::SidecarPath;
use terok_shared::exit::Exit;
use terok_shared::layout::StateRoot;
use terok_shared::placement::{Placement, READINESS_FD};
use terok_shared::sidecar::{self, OpenError, Sidecar, SidecarError};
use terok_shared::sys::descriptors;
use terok_shared::{pid_file, readiness};

use crate::launch::{Launch, LaunchError};
use crate::neighbour::{self, Neighbour};
use crate::placement::{self, Place};
use crate::plan::Start;

/// Longest the container's start may wait for us.
const PATIENCE: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(crate) struct Outcome {
    /// What does not work, one sentence each.
    pub problems: Vec<String>,
    /// Why it lives elsewhere than wanted.
    pub remark: Option<String>,
    pub kind: OutcomeKind,
    required: bool,
}

#[derive(Debug)]
pub(crate) enum OutcomeKind {
    AlreadyRunning(i32),
    /// Another container of the same pod has the sidecar's one supervisor.
    Neighbour(Neighbour),
    Bound {
        pid: i32,
        unit: Option<String>,
        endpoints: Vec<String>,
        took: Duration,
    },
    /// It goes on without being waited for.
    Late {
        pid: i32,
    },
    Ended {
        status: String,
        log: PathBuf,
    },
}

#[derive(Debug)]
pub(crate) struct StartError {
    why: Why,
    required: bool,
}

#[derive(Debug)]
enum Why {
    Open(OpenError),
    Sidecar(SidecarError),
    Locked,
    Launch(LaunchError),
    Io { what: String, why: io::Error },
}

impl Outcome {
    /// Only a sidecar that says `required` turns trouble into a refusal.
    pub(crate) fn exit(&self) -> Exit {
        let whole = self.problems.is_empty()
            && matches!(
                self.kind,
                OutcomeKind::AlreadyRunning(_)
                    | OutcomeKind::Neighbour(_)
                    | OutcomeKind::Bound { .. }
            );
        refuse_if(self.required && !whole)
    }
}

impl StartError {
    pub(crate) fn exit(&self) -> Exit {
        refuse_if(self.required)
    }
}

/// Whether the operator's sidecar says that the container must not start without us.
pub(crate) fn is_required(path: &SidecarPath) -> bool {
    sidecar::read(path).is_ok_and(|(_, text)| sidecar::insists(&text))
}

fn refuse_if(refused: bool) -> Exit {
    if refused { Exit::Refused } else { Exit::Clean }
}

pub(crate) fn start(plan: &Start, placement: Placement) -> Result<Outcome, StartError> {
    let began = Instant::now();
    let optional = |why| StartError { why, required: false };
    let (file, text) = sidecar::read(&plan.sidecar).map_err(|why| optional(Why::Open(why)))?;
    let required = sidecar::insists(&text);
    let failed = |why| StartError { why, required };
    let sidecar =
        Sidecar::parse(plan.sidecar.as_path(), &text).map_err(|why| failed(Why::Sidecar(why)))?;
    let root = StateRoot::new(plan.sidecar.state_root());
    let turn = take_turn(file, began + PATIENCE).map_err(failed)?;
    let outcome = match already_served(plan, &root, &sidecar).map_err(failed)? {
        Some(kind) => Outcome { problems: vec![], remark: None, kind, required },
        None => {
            let place = placement::choose(&sidecar, placement, operator::ground());
            let (kind, heard, remark) =
                start_one(plan, &root, &sidecar, place, began).map_err(failed)?;
            Outcome { problems: heard, remark, kind, required }
        }
    };
    drop(turn);
    Ok(outcome)
}

fn already_served(
    plan: &Start,
    root: &StateRoot,
    sidecar: &Sidecar,
) -> Result<Option<OutcomeKind>, Why> {
    make_directory(&root.pids())?;
    make_directory(&root.logs())?;
    if let Some(living) = pid_file::living(&root.pid_file(&plan.id), &plan.id) {
        return Ok(Some(OutcomeKind::AlreadyRunning(living.supervisor.pid())));
    }
    Ok(neighbour::find(&plan.id, &plan.sidecar, sidecar, root).map(OutcomeKind::Neighbour))
}

fn start_one(
    plan: &Start,
    root: &StateRoot,
    sidecar: &Sidecar,
    place: Place,
    began: Instant,
) -> Result<(OutcomeKind, Vec<String>, Option<String>), Why> {
    // Kept free for the supervisor's end of the pipe.
    let _low = descriptors::reserve_up_to(READINESS_FD)
        .map_err(|why| io_error("reserve descriptors".to_owned(), why))?;
    let log = root.container_log(&plan.id);
    let launch = Launch::new(plan, &log).map_err(Why::Launch)?;
    let (reader, writer) =
        io::pipe().map_err(|why| io_error("make the readiness pipe".to_owned(), why))?;
    let (mut started, remark) =
        launch.at(place, &sidecar.runtime_dir, writer).map_err(Why::Launch)?;
    let heard = listen(reader, began + PATIENCE)
        .map_err(|why| io_error("wait for the supervisor".to_owned(), why))?;
    let pid = started.pid();
    let kind = match heard.end {
        End::Bound(endpoints) => {
            let unit = started.unit(&plan.id);
            OutcomeKind::Bound { pid, unit, endpoints, took: began.elapsed() }
        }
        End::Late => OutcomeKind::Late { pid },
        End::Closed => OutcomeKind::Ended { status: started.status(), log },
    };
    Ok((kind, heard.problems, remark))
}

fn take_turn(sidecar: File, deadline: Instant) -> Result<Flock<File>, Why> {
    let mut file = sidecar;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(turn) => return Ok(turn),
            Err(_) if Instant::now() > deadline => return Err(Why::Locked),
            Err((back, nix::Error::EWOULDBLOCK | nix::Error::EINTR)) => file = back,
            Err((_, errno)) => return Err(io_error("lock the sidecar".to_owned(), errno.into())),
        }
        std::thread::sleep(LOCK_PAUSE);
    }
}

/// Only the last component: the state root itself was there before its sidecar.
fn make_directory(path: &Path) -> Result<(), Why> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(why) if why.kind() != io::ErrorKind::AlreadyExists => {
            Err(io_error(format!("make directory {}", path.display()), why))
        }
        _ => Ok(()),
    }
}

struct Heard {
    problems: Vec<String>,
    end: End,
}

enum End {
    Bound(Vec<String>),
    Late,
    Closed,
}

fn listen(mut pipe: io::PipeReader, deadline: Instant) -> io::Result<Heard> {
    let mut text = Vec::new();
    let mut chunk = [0u8; 4096];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let wait = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let ready = poll(&mut [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)], wait)?;
        let read = if ready == 0 { None } else { Some(pipe.read(&mut chunk)?) };
        text.extend_from_slice(&chunk[..read.unwrap_or(0)]);
        let (problems, bound) = readiness::parse(&String::from_utf8_lossy(&text));
        let end = match (bound, read) {
            (Some(endpoints), _) => End::Bound(endpoints),
            (None, Some(0)) => End::Closed,
            (None, None) => End::Late,
            (None, Some(_)) => continue,
        };
        return Ok(Heard { problems, end });
    }
}

fn io_error(what: String, why: io::Error) -> Why {
    Why::Io { what, why }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            OutcomeKind::AlreadyRunning(pid) => write!(f, "supervisor {pid} is already running"),
            OutcomeKind::Neighbour(Neighbour { supervisor, container }) => write!(
                f,
                "supervisor {supervisor} of container {} serves this sidecar already, until that container ends",
                container.short()
            ),
            OutcomeKind::Bound { pid, unit, endpoints, took } => write!(
                f,
                "supervisor {pid}{} listening after {} ms on {}",
                unit.as_ref().map(|unit| format!(" ({unit})")).unwrap_or_default(),
                took.as_millis(),
                endpoints.join(", ")
            ),
            OutcomeKind::Late { pid } => write!(
                f,
                "supervisor {pid} was not listening after {} s; not waiting longer",
                PATIENCE.as_secs()
            ),
            OutcomeKind::Ended { status, log } => {
                write!(f, "supervisor ended at once ({status})\nhint: read {}", log.display())
            }
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Open(why) => why.fmt(f),
            Why::Sidecar(why) => why.fmt(f),
            Why::Launch(why) => why.fmt(f),
            Why::Locked => write!(
                f,
                "another hook of this container did not finish within {} s",
                PATIENCE.as_secs()
            ),
            Why::Io { what, why } => write!(f, "{what}: {why}"),
        }
    }
}

impl std::error::Error for StartError {}

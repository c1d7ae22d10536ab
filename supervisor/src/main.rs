//! The parent of one container's services: no secret of the vault, no async runtime, no peer.
//!
//! It binds every listener before it starts anything and keeps them for as long as it lives, so a
//! service that dies is restarted behind the same socket and nobody sees "connection refused". It
//! ends with the container, on SIGTERM or SIGINT, and takes its children and sockets along.

mod placed;

mod arguments;

mod container_watch;

mod listen;

mod agent_socket;

mod witness;

mod netns;

mod slices;

mod wiring;

mod child;

mod environment;

mod restart;

mod slot;

mod status_file;

mod log_bound;

mod supervise;

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};
use terok_shared::exit::Exit;
use terok_shared::handover::FIRST_STRAY_FD;
use terok_shared::layout::StateRoot;
use terok_shared::pid_file::{self, Living};
use terok_shared::process::Process;
use terok_shared::sidecar::{self, Sidecar};
use terok_shared::sys::{descriptors, signals};
use terok_shared::{logging, placement, readiness};

use arguments::{Arguments, Parsed};
use container_watch::ContainerWatch;
use log_bound::LogBound;
use status_file::StatusFile;
use wiring::Wiring;

fn main() -> ExitCode {
    if let Some(code) = helper() {
        return code;
    }
    let parsed = arguments::parse(std::env::args_os().skip(1));
    let keep = parsed.readiness_fd().map_or(3, |fd| fd + 1);
    let clean = descriptors::close_from(keep).and_then(|()| signals::reset());
    umask(Mode::from_bits_truncate(0o077));
    logging::start("supervisor");
    let outcome = match (clean, parsed) {
        (Err(why), _) => Err(Ended::new(Exit::NothingStarted, why)),
        (_, Parsed::Print(text)) => {
            println!("{text}");
            Ok(())
        }
        (_, Parsed::Wrong(why)) => Err(Ended::new(Exit::BadSidecar, why)),
        (Ok(()), Parsed::Run(arguments)) => run(&arguments),
    };
    match outcome {
        Ok(()) => Exit::Clean.into(),
        Err(ended) => {
            log::error!("{}", ended.why);
            ended.exit.into()
        }
    }
}

/// What else we may have been started as: the namespace helper, or the beginning of a unit.
fn helper() -> Option<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next()?.as_str() {
        netns::HELPER => {
            let ports: Vec<String> = arguments.collect();
            Some(netns::enter(&ports).map_or(Exit::ServiceFailed, |()| Exit::Clean).into())
        }
        placement::ARGUMENT => {
            logging::start("supervisor");
            let hook = arguments.next().unwrap_or_default();
            let why = placed::become_supervisor(Path::new(&hook));
            log::error!("take over from the hook at {hook:?}: {why}");
            Some(Exit::NothingStarted.into())
        }
        _ => None,
    }
}

/// Why nothing was served, and the status that says so.
struct Ended {
    exit: Exit,
    why: String,
}

impl Ended {
    fn new(exit: Exit, why: impl ToString) -> Self {
        Self { exit, why: why.to_string() }
    }
}

fn run(arguments: &Arguments) -> Result<(), Ended> {
    let bad_sidecar = |why: String| Ended::new(Exit::BadSidecar, why);
    let nothing = |why: String| Ended::new(Exit::NothingStarted, why);
    // Opened first: the hook's caller keeps the container's init alive until the hook is done.
    let watch = arguments
        .container_pid
        .map(ContainerWatch::on)
        .transpose()
        .map_err(|why| nothing(format!("watch the container: {why}")))?;
    let readiness = arguments
        .readiness_fd
        .map(descriptors::take)
        .transpose()
        .map_err(|why| bad_sidecar(format!("readiness descriptor: {why}")))?;
    let (_, text) =
        sidecar::read(&arguments.sidecar).map_err(|why| bad_sidecar(why.to_string()))?;
    let sidecar = Sidecar::parse(arguments.sidecar.as_path(), &text)
        .map_err(|why| bad_sidecar(why.to_string()))?;
    shield(&sidecar).map_err(|why| nothing(format!("harden: {why}")))?;
    let log = begin_log(arguments, &sidecar);
    // The numbers at which children receive what they are handed.
    let _low = descriptors::reserve_up_to(FIRST_STRAY_FD - 1)
        .map_err(|why| nothing(format!("reserve descriptors: {why}")))?;

    // Before there is anything to clean up: an early signal must not leave sockets behind.
    let stop =
        supervise::stop_signals().map_err(|why| nothing(format!("listen to signals: {why}")))?;

    let container = watch.as_ref().map(ContainerWatch::process);
    let wiring = Wiring::of(&sidecar, container).map_err(|why| nothing(why.to_string()))?;
    let hook = readiness.map(File::from);
    if wiring.children.is_empty() {
        announce(&wiring, hook);
        return Err(nothing("no service could be started".to_owned()));
    }
    // Before the hook hears of us: whoever comes after it must find the file.
    let pid_file = write_pid_file(arguments, container)
        .map_err(|why| nothing(format!("write the pid file: {why}")))?;
    announce(&wiring, hook);
    let status = status_file(arguments, &sidecar)
        .map_err(|why| nothing(format!("look at our own process: {why}")))?;
    let served = supervise::supervise(wiring.children, wiring.witness, watch, stop, status, log);
    wiring.sockets.iter().for_each(|socket| {
        if let Err(why) = terok_shared::socket_file::remove(socket) {
            log::warn!("remove socket {}: {why}", socket.display());
        }
    });
    if let Some(path) = pid_file
        && let Err(why) = pid_file::remove(&path)
    {
        log::warn!("remove {}: {why}", path.display());
    }
    served.map_err(|why| nothing(why.to_string()))
}

/// The parent holds the sidecar, which can hold a gate token.
fn shield(sidecar: &Sidecar) -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    nix::sys::prctl::set_dumpable(sidecar.allow_debugger)
}

/// Tells the log, and the hook that waits, what works and what does not.
fn announce(wiring: &Wiring, hook: Option<File>) {
    let endpoints: Vec<String> = wiring.listening.clone();
    let mut text = String::new();
    for problem in &wiring.problems {
        log::error!("{problem}");
        text += &readiness::problem(problem);
    }
    if !endpoints.is_empty() {
        log::info!("listening on {}", endpoints.join(", "));
        text += &readiness::bound(&endpoints);
    }
    if let Some(mut hook) = hook
        && let Err(why) = hook.write_all(text.as_bytes())
    {
        log::debug!("the hook is not waiting any more: {why}");
    }
}

/// Says whose log this is, and bounds it. By hand there is no id, and a terminal in its place.
fn begin_log(arguments: &Arguments, sidecar: &Sidecar) -> Option<LogBound> {
    let id = arguments.container_id.as_ref()?;
    let title = logging::title(&sidecar.container_name, id);
    log::info!("{title}");
    let root = StateRoot::new(arguments.sidecar.state_root());
    LogBound::on(root.container_log(id), title)
}

fn status_file(arguments: &Arguments, sidecar: &Sidecar) -> std::io::Result<StatusFile> {
    let root = StateRoot::new(arguments.sidecar.state_root());
    let path = arguments.container_id.as_ref().map(|id| root.status_file(id));
    Ok(StatusFile::new(path, Process::current()?, sidecar.container_name.clone()))
}

fn write_pid_file(
    arguments: &Arguments,
    container: Option<Process>,
) -> std::io::Result<Option<std::path::PathBuf>> {
    let Some(id) = &arguments.container_id else { return Ok(None) };
    let root = StateRoot::new(arguments.sidecar.state_root());
    std::fs::create_dir_all(root.pids())?;
    let path = root.pid_file(id);
    pid_file::write(&path, Living { supervisor: Process::current()?, container })?;
    Ok(Some(path))
}

//! `terokctl setup` and `uninstall`: makes podman run our hooks, and takes that back.
//!
//! In: where things are on this machine (`Places`) and what the operator wants (`Options`). Out: a
//! report with a line per step. Everything is planned and checked before anything is touched; a
//! step that fails undoes the ones before it, and running setup again changes only what is missing.

mod changes;
mod command;
mod containers_conf;
mod hook_config;
mod places;
mod programs;
mod proof;
mod purge;
mod record;
mod remove;
mod report;

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

pub(crate) use self::command::{run_setup, run_uninstall};
pub(crate) use self::containers_conf::Lookup;
pub(crate) use self::hook_config::{PYTHON_PREFIX, PythonHooks, STAGES};
pub(crate) use self::places::Places;
pub(crate) use self::programs::{HOOK, PROGRAMS, SUPERVISOR, WRAPPER};
pub(crate) use self::report::{Outcome, Report};

use self::changes::{Fault, Journal};
use self::proof::{ProofError, Proved};
use self::record::Record;
use self::report::Step;

/// What the operator asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) python_hooks: PythonHooks,
    pub(crate) run: Run,
    pub(crate) proof: Proof,
}

/// Whether the installation is proved before it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    FireHook,
    Skip,
}

/// Whether the plan is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Run {
    Apply,
    /// Plans and checks, and changes nothing.
    Dry,
}

/// Why nothing was changed.
#[derive(Debug)]
pub(crate) enum SetupError {
    /// A path cannot go into a descriptor.
    Path(PathBuf),
    Programs(programs::Error),
    Hooks(hook_config::Error),
    Config(containers_conf::Error),
    Record(record::Error),
    /// Another setup or uninstall is at work.
    Busy(PathBuf),
    /// The operator may not write in one of the places.
    Denied(Fault),
    /// A step failed; `left` is what could not be undone.
    Failed {
        fault: Fault,
        left: Vec<Fault>,
    },
    /// The hook was fired and did not do what it is for.
    Unproved {
        why: ProofError,
        left: Vec<Fault>,
    },
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(
                f,
                "use {}: not an absolute path in UTF-8, which hook descriptors need\nhint: set TEROK_SANDBOX_STATE_DIR to one",
                path.display()
            ),
            Self::Programs(error) => error.fmt(f),
            Self::Hooks(error) => error.fmt(f),
            Self::Config(error) => error.fmt(f),
            Self::Record(error) => error.fmt(f),
            Self::Busy(path) => write!(
                f,
                "lock {}: another setup or uninstall is running\nhint: run this again when it is done",
                path.display()
            ),
            Self::Denied(fault) => write!(
                f,
                "{fault}; nothing was changed\nhint: run as the user whose containers this is for"
            ),
            Self::Failed { fault, left } if left.is_empty() => {
                write!(f, "{fault}; every step before it was undone")
            }
            Self::Failed { fault, left } => {
                write!(f, "{fault}; not everything before it could be undone")?;
                left.iter().try_for_each(|fault| write!(f, "; {fault}"))
            }
            Self::Unproved { why, left } => {
                let undone = if left.is_empty() { "everything" } else { "not everything" };
                write!(f, "fire the hook once: {why}; {undone} was undone")?;
                left.iter().try_for_each(|fault| write!(f, "; {fault}"))?;
                f.write_str(
                    "\nhint: `terokctl doctor` says what this machine lacks; `--no-verify` \
                     installs all the same",
                )
            }
        }
    }
}

impl std::error::Error for SetupError {}

/// Installs programs and hook descriptors and registers the hooks directory with podman.
///
/// # Errors
/// Says what is in the way; then nothing was changed, or everything was put back.
pub(crate) fn setup(places: &Places, options: &Options) -> Result<Report, SetupError> {
    let _lock = lock(places)?;
    let proof = || match options.proof {
        Proof::Skip => Ok(None),
        Proof::FireHook => proof::fire(&places.hooks_dir()).map(Some),
    };
    let mut report = carry_out(plan(places, options.python_hooks)?, options.run, proof)?;
    if options.proof == Proof::FireHook && options.run == Run::Dry {
        let line = "fire the hook once, for a container and a vault that are thrown away";
        report.steps.push((Outcome::Planned, line.to_owned()));
    }
    Ok(report)
}

/// Takes back what setup did; vault, mirrors, logs and sidecars stay.
///
/// # Errors
/// As for `setup`.
pub(crate) fn uninstall(places: &Places, run: Run) -> Result<Report, SetupError> {
    let _lock = lock(places)?;
    let record = Record::load(&places.state_dir).map_err(SetupError::Record)?;
    carry_out(remove::plan(places, &record)?, run, || Ok(None))
}

/// The directories podman reads hook descriptors from at present, lowest precedence first.
///
/// # Errors
/// A configuration file that podman could not read either.
pub(crate) fn hooks_in_force(places: &Places) -> Result<Vec<PathBuf>, SetupError> {
    containers_conf::in_force(places).map_err(SetupError::Config)
}

/// The steps of setup, in an order in which no moment is worse than the one before: descriptors
/// come after the programs they name, and podman learns of them last.
fn plan(places: &Places, python_hooks: PythonHooks) -> Result<Vec<Step>, SetupError> {
    let old = Record::load(&places.state_dir).map_err(SetupError::Record)?;
    let state_dir = utf8(&places.state_dir)?;
    let mut changes = programs::state_directory(places).map_err(SetupError::Programs)?;

    let programs = programs::plan(places).map_err(SetupError::Programs)?;
    let directory =
        programs::private_directory(places, &places.hooks_dir()).map_err(SetupError::Programs)?;
    let hooks =
        hook_config::plan(&places.hooks_dir(), directory, utf8(&programs.directory)?, state_dir)
            .map_err(SetupError::Hooks)?;
    let config =
        containers_conf::plan(places, utf8(&places.hooks_dir())?).map_err(SetupError::Config)?;
    let python =
        hook_config::plan_python(&config.in_force, python_hooks).map_err(SetupError::Hooks)?;

    let mut record = old.clone();
    let mut steps = vec![programs.step, hooks];
    if let Some((step, originals)) = python {
        steps.push(step);
        record.note_set_aside(originals);
    }
    steps.push(config.step);
    if let Some(registration) = config.registration {
        record.register(registration);
    }
    record.note_dirs(changes.iter().chain(steps.iter().flat_map(|step| &step.changes)));
    if record != old {
        changes.push(record.to_change(&places.state_dir));
    }
    // First, so that a setup that is killed half way can be taken back.
    let line = format!("note in {} what to take back", Record::path(&places.state_dir).display());
    steps.insert(0, Step::new(line, changes));
    Ok(steps)
}

/// Checks all changes, then makes them, or none: they stay only once `prove` is satisfied.
fn carry_out(
    steps: Vec<Step>,
    run: Run,
    prove: impl FnOnce() -> Result<Option<Proved>, ProofError>,
) -> Result<Report, SetupError> {
    for step in &steps {
        changes::check(&step.changes).map_err(SetupError::Denied)?;
    }
    if run == Run::Dry {
        return Ok(Report::of(steps, Outcome::Planned));
    }
    let mut journal = Journal::default();
    for change in steps.iter().flat_map(|step| &step.changes) {
        if let Err(fault) = journal.apply(change) {
            return Err(SetupError::Failed { fault, left: journal.roll_back() });
        }
    }
    let proved = match prove() {
        Ok(proved) => proved,
        Err(why) => return Err(SetupError::Unproved { why, left: journal.roll_back() }),
    };
    journal.commit();
    let mut report = Report::of(steps, Outcome::Done);
    if let Some(Proved { services, took }) = proved {
        let line = format!(
            "fire the hook once: {} came up, and all went with the container ({} ms)",
            services.join(", "),
            took.as_millis()
        );
        report.steps.push((Outcome::Done, line));
    }
    Ok(report)
}

/// Locks the state directory, or the nearest directory above it that exists, against a second
/// setup. The lock goes with the file handle, so a killed setup leaves none.
fn lock(places: &Places) -> Result<Option<File>, SetupError> {
    let existing = places.state_dir.ancestors().find(|path| path.is_dir());
    let Some(path) = existing else { return Ok(None) };
    // A directory that cannot be opened gets its own, clearer refusal from the plan.
    let Ok(directory) = File::open(path) else { return Ok(None) };
    match directory.try_lock() {
        Err(TryLockError::WouldBlock) => Err(SetupError::Busy(path.to_owned())),
        // Some network file systems have no locks; two setups at once there are unlikely enough.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(directory)),
    }
}

fn utf8(path: &Path) -> Result<&str, SetupError> {
    let text = path.to_str().filter(|_| path.is_absolute());
    text.ok_or_else(|| SetupError::Path(path.to_owned()))
}

#[cfg(test)]
mod tests;

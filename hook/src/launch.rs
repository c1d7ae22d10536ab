//! Starting the supervisor's program, as a daemon or as a unit: what both are given, and what has
//! become of it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;

use terok_hook::operator;
use terok_shared::container::ContainerId;
use terok_shared::placement::READINESS_FD;
use terok_shared::sibling::{self, SiblingError};

use crate::placement::Place;
use crate::plan::Start;
use crate::{daemon, unit};

const SUPERVISOR: &str = "terok-supervisor";

/// What a supervisor is started with, wherever it lives.
pub(crate) struct Launch {
    pub(crate) id: ContainerId,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, PathBuf)>,
    pub(crate) log: File,
}

pub(crate) enum Started {
    Daemon(Child),
    Unit(i32),
}

#[derive(Debug)]
pub(crate) enum LaunchError {
    Program(SiblingError),
    Log { path: PathBuf, why: io::Error },
    Daemon { program: PathBuf, why: io::Error },
}

impl Launch {
    pub(crate) fn new(plan: &Start, log: &Path) -> Result<Self, LaunchError> {
        let program = sibling::program(SUPERVISOR).map_err(LaunchError::Program)?;
        let sidecar = plan.sidecar.as_path().to_str().expect("it came out of JSON text");
        let (pid, readiness) = (plan.pid.to_string(), READINESS_FD.to_string());
        let arguments = [
            ["--sidecar", sidecar],
            ["--container-id", plan.id.as_str()],
            ["--container-pid", &pid],
            ["--readiness-fd", &readiness],
        ];
        let opened = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(log);
        Ok(Self {
            id: plan.id.clone(),
            program,
            arguments: arguments.concat().into_iter().map(str::to_owned).collect(),
            environment: operator::environment(),
            log: opened.map_err(|why| LaunchError::Log { path: log.to_owned(), why })?,
        })
    }

    /// As a unit if that is wanted and works, else as a daemon, with the reason.
    pub(crate) fn at(
        &self,
        place: Place,
        runtime_dir: &Path,
        readiness: io::PipeWriter,
    ) -> Result<(Started, Option<String>), LaunchError> {
        let remark = match place {
            Place::Daemon => None,
            Place::Unit => match unit::start(self, runtime_dir, &readiness) {
                Ok(pid) => return Ok((Started::Unit(pid), None)),
                Err(why) => Some(format!("a daemon in place of a unit: {why}")),
            },
        };
        let child = daemon::start(self, readiness)
            .map_err(|why| LaunchError::Daemon { program: self.program.clone(), why })?;
        Ok((Started::Daemon(child), remark))
    }
}

impl Started {
    pub(crate) fn pid(&self) -> i32 {
        match self {
            Self::Daemon(child) => child.id() as i32,
            Self::Unit(pid) => *pid,
        }
    }

    /// Its name, when it is one.
    pub(crate) fn unit(&self, id: &ContainerId) -> Option<String> {
        matches!(self, Self::Unit(_)).then(|| unit::name(id))
    }

    /// How it ended, once it has.
    pub(crate) fn status(&mut self) -> String {
        match self {
            Self::Daemon(child) => {
                child.wait().map_or_else(|why| why.to_string(), |status| status.to_string())
            }
            // The service manager has its status.
            Self::Unit(_) => "a unit".to_owned(),
        }
    }
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(why) => why.fmt(f),
            Self::Log { path, why } => write!(f, "open {}: {why}", path.display()),
            Self::Daemon { program, why } => write!(f, "start {}: {why}", program.display()),
        }
    }
}

impl std::error::Error for LaunchError {}

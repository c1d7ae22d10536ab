//! Where the story is played: in a real rootless container, or, where podman cannot run one, in a
//! plain process that stands in for it.
//!
//! Either way the hook is started as a runtime starts it and ends as a runtime ends it. The real
//! container has no network: all it has is the mounted socket directory.

mod agent_bridge;
mod container;
mod stand_in;

use std::process::Command;
use std::time::{Duration, Instant};

use terok_shared::container::ContainerId;
use terok_shared::layout::StateRoot;
use terok_shared::pid_file;
use terok_shared::process::Process;

use super::DemoError;
use super::place::{Place, output};
use container::Container;
use stand_in::StandIn;

/// The container's, the project's, the scope's and the provider's name.
pub(super) const NAME: &str = "demo";

/// How long the supervisor may take to end with its container.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) enum Stage<'a> {
    Container(Container<'a>),
    StandIn(StandIn<'a>),
}

/// A stage on which the supervisor serves.
pub(super) struct Started {
    pub(super) supervisor: Process,
    /// From the launch to the container's first instruction.
    pub(super) took: Duration,
}

impl<'a> Stage<'a> {
    /// Looks whether podman can run a container here at all.
    pub(super) fn choose(place: &'a Place) -> Self {
        match Container::find(place) {
            Ok(container) => Self::Container(container),
            Err(why) => Self::StandIn(StandIn::new(place, why)),
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Container(container) => {
                format!("a real rootless container without any network ({})", container.version())
            }
            Self::StandIn(stand_in) => {
                format!("a plain process standing in for a container, because {}", stand_in.why())
            }
        }
    }

    pub(super) fn start(&mut self) -> Result<Started, DemoError> {
        let place = self.place();
        place.terokctl(&["setup", "--no-verify"])?; // the story that follows is the proof
        let (id, took) = match self {
            Self::Container(container) => container.start()?,
            Self::StandIn(stand_in) => stand_in.start()?,
        };
        let id = ContainerId::parse(&id)
            .map_err(|why| DemoError::Untrue { claim: format!("podman prints an id: {why}") })?;
        let pid_file = StateRoot::new(place.path("state")).pid_file(&id);
        match pid_file::living(&pid_file, &id) {
            Some(living) => Ok(Started { supervisor: living.supervisor, took }),
            None => {
                Err(DemoError::Untrue { claim: format!("a supervisor runs\n{}", place.diary()) })
            }
        }
    }

    /// Runs a shell line inside; what it printed.
    pub(super) fn run(&self, script: &str) -> Result<String, DemoError> {
        let mut command = match self {
            Self::Container(container) => container.shell(script),
            Self::StandIn(stand_in) => stand_in.shell(script),
        };
        output(script, &mut command)
    }

    /// Puts a file into the directory in which the shell lines run.
    pub(super) fn give(&self, name: &str, text: &str) -> Result<(), DemoError> {
        self.run(&format!("cat > {name} <<'END'\n{text}\nEND")).map(|_| ())
    }

    /// `podman`, to look at hardened processes from the root of their namespace.
    pub(super) fn podman(&self) -> Option<Command> {
        match self {
            Self::Container(container) => Some(container.podman()),
            Self::StandIn(_) => None,
        }
    }

    /// Ends the container and what served it, the way a runtime does. How long the supervisor
    /// took to end.
    pub(super) fn end(&mut self, supervisor: Process) -> Result<Duration, DemoError> {
        let began = Instant::now();
        match self {
            Self::Container(container) => container.end()?,
            Self::StandIn(stand_in) => stand_in.end()?,
        }
        while supervisor.is_alive() {
            if began.elapsed() > PATIENCE {
                return Err(DemoError::Untrue {
                    claim: "the supervisor ends with its container".to_owned(),
                });
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let took = began.elapsed();
        self.place().terokctl(&["cleanup", NAME])?;
        self.place().terokctl(&["uninstall"])?;
        Ok(took)
    }

    /// After a start that failed half way: whatever may run is ended, without further words.
    pub(super) fn abandon(&mut self) {
        let _ = match self {
            Self::Container(container) => container.end(),
            Self::StandIn(stand_in) => stand_in.end(),
        };
    }

    fn place(&self) -> &'a Place {
        match self {
            Self::Container(container) => container.place(),
            Self::StandIn(stand_in) => stand_in.place(),
        }
    }
}

/// The words of `prepare` and `run` that both stages share.
fn launch(place: &Place) -> Vec<String> {
    let passphrase = format!("cat {}", place.path("passphrase").display());
    let mut words = vec![NAME, "--project", NAME, "--scope", NAME, "--provider", NAME, "--ssh"];
    words.extend(["--gate", "--passphrase-command", &passphrase]);
    words.into_iter().map(str::to_owned).collect()
}

//! What to do for a stage and a state: decided here, done in `start` and `stop`.

use std::fmt;

use terok_shared::annotation::{PathError, SidecarPath};
use terok_shared::container::{ContainerId, IdError};

use crate::oci_state::OciState;
use crate::stage::Stage;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    Start(Start),
    Stop(Stop),
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Start {
    pub id: ContainerId,
    /// The container's init: its death ends the supervisor.
    pub pid: i32,
    pub sidecar: SidecarPath,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    pub id: ContainerId,
    /// Leads to the state root; the file itself may be gone by now.
    pub sidecar: SidecarPath,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PlanError {
    Id(IdError),
    Sidecar(PathError),
    NoPid,
}

pub(crate) fn decide(stage: Stage, state: &OciState) -> Result<Plan, PlanError> {
    let id = state.id.clone().map_err(PlanError::Id)?;
    let sidecar = state.sidecar.clone().map_err(PlanError::Sidecar)?;
    match stage {
        Stage::CreateRuntime => {
            let pid = state.pid.ok_or(PlanError::NoPid)?;
            Ok(Plan::Start(Start { id, pid, sidecar }))
        }
        Stage::Poststop => Ok(Plan::Stop(Stop { id, sidecar })),
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(why) => why.fmt(f),
            Self::Sidecar(why) => why.fmt(f),
            Self::NoPid => write!(f, "OCI state: no pid of a running container"),
        }
    }
}

impl std::error::Error for PlanError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(pid: Option<i32>) -> OciState {
        OciState {
            id: ContainerId::parse("abc"),
            pid,
            sidecar: SidecarPath::parse("/s/sidecar/w.json"),
        }
    }

    #[test]
    fn creation_starts_and_poststop_stops() {
        let started = decide(Stage::CreateRuntime, &state(Some(7)));
        assert!(matches!(started, Ok(Plan::Start(Start { pid: 7, .. }))));
        assert!(matches!(decide(Stage::Poststop, &state(None)), Ok(Plan::Stop(_))));
    }

    #[test]
    fn nothing_starts_without_a_container_to_watch() {
        assert_eq!(decide(Stage::CreateRuntime, &state(None)), Err(PlanError::NoPid));
    }

    #[test]
    fn a_wrong_id_or_path_is_named_at_either_stage() {
        for stage in [Stage::CreateRuntime, Stage::Poststop] {
            let id = OciState { id: ContainerId::parse("../x"), ..state(Some(7)) };
            assert!(matches!(decide(stage, &id), Err(PlanError::Id(_))));
            let path = OciState { sidecar: SidecarPath::parse("x"), ..state(Some(7)) };
            assert!(matches!(decide(stage, &path), Err(PlanError::Sidecar(_))));
        }
    }
}

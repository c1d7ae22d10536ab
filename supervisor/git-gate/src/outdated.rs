//! Why only another process can serve the next client: the lane holds on to the mirror, the policy
//! and the program of the start alone.

use std::fmt;
use std::path::PathBuf;

use crate::home::Home;
use crate::mirror::{Mirror, Presence};
use crate::policy_source::PolicySource;

#[derive(Debug)]
pub(crate) enum Outdated {
    Mirror { path: PathBuf },
    Policy,
    Program,
}

impl Outdated {
    /// `None` while all are those of the start; a mirror that is absent is nothing to serve.
    pub(crate) fn of(mirror: &Mirror, policy: &PolicySource, home: &Home) -> Option<Self> {
        if mirror.presence() == Presence::Changed {
            return Some(Self::Mirror { path: mirror.path().to_owned() });
        }
        if policy.has_changed() {
            return Some(Self::Policy);
        }
        home.is_outdated().then_some(Self::Program)
    }
}

impl fmt::Display for Outdated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mirror { path } => {
                write!(f, "the mirror {} is another directory than at the start", path.display())
            }
            Self::Policy => write!(f, "the push policy has changed"),
            Self::Program => write!(f, "this program was replaced"),
        }
    }
}

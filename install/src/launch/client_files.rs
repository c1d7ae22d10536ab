//! The files that clients insist on, beside the sidecar, mounted read-only where the client looks.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use terok_shared::container::ContainerName;

use super::environment::Granted;
use super::made::{Made, Thing};
use super::plan::Plan;
use crate::egress::DUMMY_ENDINGS;
use crate::private_file;

/// One file: here, and in the container.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientFile {
    pub(super) here: PathBuf,
    pub(super) inside: PathBuf,
}

#[derive(Debug)]
pub(super) struct WriteError {
    path: PathBuf,
    why: io::Error,
}

/// Writes the file of every provider that has one.
pub(super) fn write(
    plan: &Plan,
    granted: &Granted,
    made: &mut Made,
) -> Result<Vec<ClientFile>, WriteError> {
    let Some(home) = &plan.client_home else { return Ok(vec![]) };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let mut files = Vec::new();
    for provider in &granted.providers {
        let Some(dummy) = &provider.file else { continue };
        let here = beside(plan.sidecar.as_path(), &plan.name, dummy.ending());
        let text = dummy.text(&provider.token, now);
        private_file::replace(&here, text.expose().as_bytes())
            .map_err(|why| WriteError { path: here.clone(), why })?;
        made.note(Thing::File(here.clone()));
        files.push(ClientFile { here, inside: home.join(dummy.place()) });
    }
    Ok(files)
}

/// Where they would be for a container, whether they are there or not.
pub(super) fn places(sidecar: &Path, name: &ContainerName) -> Vec<PathBuf> {
    DUMMY_ENDINGS.iter().map(|ending| beside(sidecar, name, ending)).collect()
}

fn beside(sidecar: &Path, name: &ContainerName, ending: &str) -> PathBuf {
    sidecar.with_file_name(format!("{name}.{ending}"))
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write {}: {}", self.path.display(), self.why)
    }
}

impl std::error::Error for WriteError {}

//! The status file: written whole whenever a service's state changes, gone with the supervisor.

use std::fs;
use std::path::PathBuf;

use terok_shared::container::ContainerName;
use terok_shared::process::Process;
use terok_shared::record;
use terok_shared::status::Status;

use crate::slot::Slot;

/// Where the truth about this tree is told; nowhere for a supervisor without a container id.
#[derive(Debug)]
pub(crate) struct StatusFile {
    path: Option<PathBuf>,
    told: Option<Status>,
    complained: bool,
    supervisor: Process,
    container_name: ContainerName,
}

impl StatusFile {
    pub(crate) fn new(
        path: Option<PathBuf>,
        supervisor: Process,
        container_name: ContainerName,
    ) -> Self {
        Self { path, told: None, complained: false, supervisor, container_name }
    }

    /// Writes what is new; says once when it cannot, until it can again.
    pub(crate) fn tell(&mut self, slots: &[Slot]) {
        let Some(path) = &self.path else { return };
        let now = Status {
            container_name: self.container_name.to_string(),
            pid: self.supervisor.pid(),
            started: self.supervisor.started(),
            services: slots.iter().map(Slot::status).collect(),
        };
        if self.told.as_ref() == Some(&now) {
            return;
        }
        let text = serde_json::to_vec(&now).expect("a status holds words and numbers");
        match record::write(path, &text) {
            Ok(()) => (self.told, self.complained) = (Some(now), false),
            // The next event tries again: a full disk may have room by then.
            Err(why) if !self.complained => {
                log::warn!("write status file {}: {why}", path.display());
                self.complained = true;
            }
            Err(_) => {}
        }
    }
}

impl Drop for StatusFile {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Its reader compares the pid anyway.
            let _ = fs::remove_file(path);
        }
    }
}

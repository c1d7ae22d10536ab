//! The status file: written whole whenever a service's state changes, gone with the supervisor.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use terok_shared::container::ContainerName;
use terok_shared::process::Process;
use terok_shared::status::Status;

use crate::slot::Slot;

/// Where the truth about this tree is told; nowhere for a supervisor without a container id.
#[derive(Debug)]
pub(crate) struct StatusFile {
    path: Option<PathBuf>,
    told: Option<Status>,
    supervisor: Process,
    container_name: ContainerName,
}

impl StatusFile {
    pub(crate) fn new(
        path: Option<PathBuf>,
        supervisor: Process,
        container_name: ContainerName,
    ) -> Self {
        Self { path, told: None, supervisor, container_name }
    }

    /// Writes what is new; says once when it cannot.
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
        if let Err(why) = write(path, &now) {
            log::warn!("write status file {}: {why}", path.display());
            self.path = None;
            return;
        }
        self.told = Some(now);
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

fn write(path: &Path, status: &Status) -> std::io::Result<()> {
    let draft = path.with_extension("status.new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&draft)?;
    file.write_all(&serde_json::to_vec(status)?)?;
    fs::rename(draft, path)
}

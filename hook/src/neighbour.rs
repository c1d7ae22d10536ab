//! Another container with the same sidecar: the containers of one pod all carry its annotations.
//!
//! In: the pid files of one state root. Out: the supervisor that serves this sidecar for a
//! container that lives. It binds each socket once, so there is nothing to start for the others.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use terok_shared::annotation::SidecarPath;
use terok_shared::container::ContainerId;
use terok_shared::endpoint::{self, Endpoint};
use terok_shared::layout::StateRoot;
use terok_shared::pid_file;
use terok_shared::process::Process;
use terok_shared::service::Service;
use terok_shared::sidecar::Sidecar;

/// More pid files than this are not looked at.
const MAX_FILES: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Neighbour {
    pub supervisor: i32,
    pub container: ContainerId,
}

/// Who serves the sidecar at `path`, for another container than `id`. To start one where there is
/// none, call it with the sidecar locked, so that two containers of a pod take turns.
pub(crate) fn find(
    id: &ContainerId,
    path: &SidecarPath,
    parsed: &Sidecar,
    root: &StateRoot,
) -> Option<Neighbour> {
    if !may_be_served(parsed) {
        return None;
    }
    let sidecar = path.as_path().as_os_str().as_bytes();
    let files = fs::read_dir(root.pids()).ok()?.flatten().take(MAX_FILES).map(|file| file.path());
    files.filter_map(|file| Some((StateRoot::container_of_record(&file)?, file))).find_map(
        |(container, file)| {
            if container == *id || file != root.pid_file(&container) {
                return None;
            }
            let living = pid_file::living_with(&file, &container, sidecar)?;
            // One that is about to end with its container serves nobody else.
            let serves = living.container.is_some_and(Process::is_alive);
            serves.then_some(Neighbour { supervisor: living.supervisor.pid(), container })
        },
    )
}

/// Whoever serves it has made its sockets, so a crowd of other containers need not be asked. Of a
/// port we cannot tell without knocking.
fn may_be_served(sidecar: &Sidecar) -> bool {
    let endpoints = Service::ALL.into_iter().filter_map(|service| endpoint::of(sidecar, service));
    endpoints.flatten().any(|endpoint| match endpoint {
        Endpoint::Unix(socket) => socket.symlink_metadata().is_ok(),
        Endpoint::Loopback(_) => true,
    })
}

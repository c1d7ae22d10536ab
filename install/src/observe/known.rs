//! The containers there are to tell of: sidecars, joined with the pid and status files of their
//! runs, each compared with the kernel. No container engine is asked.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use terok_shared::annotation::SidecarPath;
use terok_shared::container::{ContainerId, ContainerName};
use terok_shared::layout::StateRoot;
use terok_shared::pid_file::{self, Living};
use terok_shared::process::Process;
use terok_shared::record;
use terok_shared::sidecar::{self, Sidecar};
use terok_shared::status::{self, ServiceState, ServiceStatus, Status};

use super::supervisors;

/// One container by its name.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: String,
    /// `None` for a run whose sidecar is gone; the sentence says why it cannot be used.
    pub(super) sidecar: Option<Result<Sidecar, String>>,
    /// Seconds since the sidecar was written.
    pub(super) sidecar_age: Option<Duration>,
    /// Its runs that left a file, the living one first.
    pub(super) runs: Vec<Run>,
}

/// One run of a container, as its pid and status files tell.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: ContainerId,
    pub(super) files: Vec<PathBuf>,
    /// Since the younger of the files was written.
    pub(super) age: Duration,
    pub(super) living: Option<Living>,
    /// The container's init, when it still runs.
    pub(super) container: Option<Process>,
    /// Also of a supervisor that has died: what it said last.
    pub(super) status: Option<Status>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Serving,
    /// The container runs and its supervisor does not.
    Unsupervised,
    Stopped,
    /// Its sidecar cannot be used.
    Unusable,
}

impl Known {
    pub(super) fn state(&self) -> State {
        match self.current() {
            Some(run) if run.living.is_some() => State::Serving,
            Some(_) => State::Unsupervised,
            None if matches!(self.sidecar, Some(Err(_))) => State::Unusable,
            None => State::Stopped,
        }
    }

    /// The run that is not over: of the supervisor, or at least of the container.
    pub(super) fn current(&self) -> Option<&Run> {
        self.runs.iter().find(|run| run.living.is_some() || run.container.is_some())
    }

    /// Services of a living supervisor that it has stopped starting, because they end too often.
    pub(super) fn failed(&self) -> impl Iterator<Item = &ServiceStatus> {
        let living = self.current().filter(|run| run.living.is_some());
        let services = living.and_then(|run| run.status.as_ref()).map(|status| &status.services);
        let failed = |service: &&ServiceStatus| service.state == ServiceState::Failed;
        services.into_iter().flatten().filter(failed)
    }

    pub(super) fn sidecar(&self) -> Option<&Sidecar> {
        self.sidecar.as_ref()?.as_ref().ok()
    }
}

/// Everything known below a state root, by name.
///
/// # Errors
/// One of its directories cannot be read; one that is not there holds nothing.
pub(super) fn all(root: &StateRoot) -> io::Result<Vec<Known>> {
    let mut known: Vec<Known> = Vec::new();
    for path in entries(&root.sidecars())? {
        let (Some("json"), Some(name)) = (text(path.extension()), text(path.file_stem())) else {
            continue;
        };
        let sidecar_age = age(&path);
        let sidecar = Some(read_sidecar(&path));
        known.push(Known { name: name.to_owned(), sidecar, sidecar_age, runs: vec![] });
    }
    for (name, run) in runs(root)? {
        match known.iter_mut().find(|known| known.name == name) {
            Some(known) => known.runs.push(run),
            None => {
                known.push(Known { name, sidecar: None, sidecar_age: None, runs: vec![run] });
            }
        }
    }
    for known in &mut known {
        known.runs.sort_by_key(|run| (run.living.is_none(), run.container.is_none(), run.age));
    }
    known.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(known)
}

/// The one of this name, or whose id begins with it.
///
/// # Errors
/// As `all`.
pub(super) fn one(root: &StateRoot, word: &str) -> io::Result<Option<Known>> {
    let mut known = all(root)?;
    let named = known.iter().position(|known| known.name == word);
    let by_id = || known.iter().position(|known| begins_with(known, word));
    Ok(named.or_else(by_id).map(|n| known.swap_remove(n)))
}

fn begins_with(known: &Known, word: &str) -> bool {
    word.len() >= 4 && known.runs.iter().any(|run| run.id.as_str().starts_with(word))
}

/// Every run of a pid or status file, with its container's name.
fn runs(root: &StateRoot) -> io::Result<Vec<(String, Run)>> {
    let mut ids: Vec<ContainerId> = Vec::new();
    for path in entries(&root.pids())? {
        ids.extend(StateRoot::container_of_record(&path).filter(|id| !ids.contains(id)));
    }
    if ids.is_empty() {
        return Ok(vec![]);
    }
    let supervisors = supervisors::of(&root.sidecars())?;
    let named = ids.into_iter().map(|id| {
        let pid_file = root.pid_file(&id);
        let status = read_status(&root.status_file(&id)).ok();
        let of_process = || {
            let supervisor = supervisors.iter().find(|s| s.container_id.as_ref() == Some(&id))?;
            text(supervisor.sidecar.file_stem()).map(str::to_owned)
        };
        let name = status.as_ref().map(|status| status.container_name.clone()).or_else(of_process);
        let files: Vec<PathBuf> =
            root.records(&id).into_iter().filter(|path| path.symlink_metadata().is_ok()).collect();
        let run = Run {
            age: files.iter().filter_map(|file| age(file)).min().unwrap_or_default(),
            files,
            living: pid_file::living(&pid_file, &id),
            container: pid_file::container(&pid_file).filter(|process| process.is_alive()),
            status,
            id,
        };
        (name.unwrap_or_else(|| run.id.short().to_owned()), run)
    });
    Ok(named.collect())
}

fn read_sidecar(path: &Path) -> Result<Sidecar, String> {
    let text = path.to_str().ok_or("its path is not UTF-8")?;
    let checked = SidecarPath::parse(text).map_err(|why| why.to_string())?;
    let (_, json) = sidecar::read(&checked).map_err(|why| why.to_string())?;
    let sidecar = Sidecar::parse(path, &json).map_err(|why| why.to_string())?;
    // Whoever serves it goes by the name inside.
    let name = ContainerName::parse(path.file_stem().and_then(|s| s.to_str()).unwrap_or_default());
    match name {
        Ok(name) if name == sidecar.container_name => Ok(sidecar),
        _ => Err(format!(
            "sidecar {}: is for a container named {}",
            path.display(),
            sidecar.container_name
        )),
    }
}

/// Its writer is the supervisor, so it is as trustworthy as a file of ours.
fn read_status(path: &Path) -> io::Result<Status> {
    Ok(serde_json::from_slice(&record::read(path, status::MAX_BYTES)?)?)
}

pub(super) fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        entries => entries.map_err(|why| {
            io::Error::new(why.kind(), format!("read directory {}: {why}", directory.display()))
        })?,
    };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    Ok(paths)
}

/// Since a file was last written.
pub(super) fn age(path: &Path) -> Option<Duration> {
    Some(path.symlink_metadata().ok()?.modified().ok()?.elapsed().unwrap_or_default())
}

fn text(part: Option<&std::ffi::OsStr>) -> Option<&str> {
    part?.to_str()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn house() -> (tempfile::TempDir, StateRoot) {
        let dir = tempfile::tempdir().unwrap();
        let root = StateRoot::new(dir.path());
        for directory in [root.sidecars(), root.pids()] {
            fs::create_dir(directory).unwrap();
        }
        (dir, root)
    }

    fn write_sidecar(root: &StateRoot, name: &str, json: &str) {
        let path = root.sidecars().join(format!("{name}.json"));
        fs::write(&path, json).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn json(name: &str) -> String {
        format!(r#"{{"container_name":"{name}","db_path":"/v/c.db","runtime_dir":"/r"}}"#)
    }

    /// A run of `name` that this test's process supervises, for a container that is this process.
    fn serve(root: &StateRoot, name: &str, id: &str, alive: bool) {
        let id = ContainerId::parse(id).unwrap();
        let me = Process::current().unwrap();
        let supervisor = if alive { me } else { Process::recorded(me.pid(), 1) };
        let living = Living { supervisor, container: Some(me) };
        pid_file::write(&root.pid_file(&id), living).unwrap();
        let status = Status {
            container_name: name.to_owned(),
            pid: supervisor.pid(),
            started: supervisor.started(),
            services: vec![],
        };
        fs::write(root.status_file(&id), serde_json::to_vec(&status).unwrap()).unwrap();
    }

    #[test]
    fn a_state_root_that_is_not_there_knows_nobody() {
        assert!(all(&StateRoot::new("/nowhere")).unwrap().is_empty());
    }

    #[test]
    fn sidecars_and_runs_meet_by_name() {
        let (_dir, root) = house();
        for name in ["idle", "run", "lost"] {
            write_sidecar(&root, name, &json(name));
        }
        write_sidecar(&root, "bad", "{}");
        write_sidecar(&root, "other", &json("web"));
        serve(&root, "run", "aaaa1111", true);
        serve(&root, "lost", "bbbb2222", false);
        let known = all(&root).unwrap();
        let states: Vec<_> = known.iter().map(|k| (k.name.as_str(), k.state())).collect();
        assert_eq!(
            states,
            [
                ("bad", State::Unusable),
                ("idle", State::Stopped),
                ("lost", State::Unsupervised),
                ("other", State::Unusable),
                ("run", State::Serving),
            ]
        );
        assert_eq!(one(&root, "bbbb").unwrap().unwrap().name, "lost");
        assert!(one(&root, "nobody").unwrap().is_none());
    }

    #[test]
    fn a_run_outlives_its_sidecar_and_the_living_run_comes_first() {
        let (_dir, root) = house();
        serve(&root, "web", "aaaa1111", false);
        serve(&root, "web", "cccc3333", true);
        let web = one(&root, "web").unwrap().unwrap();
        assert!(web.sidecar.is_none());
        assert_eq!(web.current().unwrap().id.as_str(), "cccc3333");
        assert_eq!(web.runs.len(), 2);
    }
}

//! Containers without what should be there, and what is there without its container: trees, pid and
//! status files, socket directories, sidecars.
//!
//! A grace keeps it away from what is being made at this moment.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use terok_shared::layout;
use terok_shared::process::Process;
use terok_shared::status::ServiceStatus;

use super::container_name;
use super::finding::{Finding, Grade, Mend};
use super::mend::GRACE;
use crate::directories::Directories;
use crate::observe::clock;
use crate::observe::known::{self, Known, Run, State, age, entries};
use crate::observe::podman::{Listed, Podman};
use crate::observe::supervisors::{self, Supervisor};

const PLACE: &str = "containers";

/// `prepare` leaves the start to the operator.
const SIDECAR_GRACE: Duration = Duration::from_secs(60 * 60);
/// Supervisors end within 200 ms of their container.
const LEAVING: Duration = Duration::from_millis(500);

pub(super) fn examine(directories: &Directories) -> Vec<Finding> {
    let root = &directories.state;
    let known = match known::all(root) {
        Ok(known) => known,
        Err(why) => return vec![Finding::of_error(PLACE, Grade::Broken, &why)],
    };
    let supervisors = supervisors::of(&root.sidecars()).unwrap_or_default();
    let podman = Podman::on_path();
    let listed = podman.as_ref().map(Podman::list).transpose();
    let mut findings = strays(&supervisors);
    findings.extend(orphans(&root.programs()));
    findings.extend(known.iter().filter_map(unusable));
    findings.extend(unserved(
        &known,
        podman.as_ref(),
        listed.as_ref().ok().and_then(Option::as_deref),
    ));
    findings.extend(known.iter().flat_map(down));
    findings.extend(known.iter().flat_map(|known| &known.runs).filter_map(records));
    findings.extend(socket_directories(&directories.runtime, &known));
    match &listed {
        Ok(Some(listed)) => findings.extend(known.iter().filter_map(|known| gone(known, listed))),
        Ok(None) => {}
        Err(why) => findings.push(Finding::of_error("podman", Grade::Warning, why)),
    }
    if findings.iter().all(|finding| finding.grade == Grade::Note) {
        let serving = known.iter().filter(|known| known.state() == State::Serving).count();
        findings.push(Finding::good(PLACE, format!("{serving} served, nothing left behind")));
    }
    findings
}

/// Supervisors whose container is gone; they are looked at twice, because they may be leaving.
fn strays(supervisors: &[Supervisor]) -> Vec<Finding> {
    let alone: Vec<&Supervisor> = supervisors.iter().filter(|s| has_lost_container(s)).collect();
    if alone.is_empty() {
        return vec![];
    }
    thread::sleep(LEAVING);
    let stays = |supervisor: &&&Supervisor| supervisor.process.is_alive();
    alone.iter().filter(stays).map(|supervisor| stray(supervisor)).collect()
}

/// By hand there is no container to lose.
fn has_lost_container(supervisor: &Supervisor) -> bool {
    supervisor.container_pid.is_some_and(|pid| match Process::of(pid) {
        // The container was there before its supervisor: a younger process has taken its number.
        Ok(now) => now.started() > supervisor.process.started() || !now.is_alive(),
        // Where proc(5) hides others' processes (hidepid), the kernel still says that it is there.
        Err(_) => kill(Pid::from_raw(pid), None) == Err(nix::Error::ESRCH),
    })
}

fn stray(supervisor: &Supervisor) -> Finding {
    let pid = supervisor.process.pid();
    let what =
        format!("supervisor {pid} of {} lives without its container", supervisor.sidecar.display());
    Finding::warning(PLACE, what, format!("end it: kill {pid}"))
        .with(Mend::End { process: supervisor.process })
}

fn orphans(programs: &Path) -> Vec<Finding> {
    let orphans = supervisors::orphans(programs).unwrap_or_default();
    if orphans.is_empty() {
        return vec![];
    }
    thread::sleep(LEAVING);
    let stays = orphans.into_iter().filter(|(_, process)| process.is_alive());
    stays
        .map(|(service, process)| {
            let pid = process.pid();
            let what = format!("{service} {pid} lives without its supervisor");
            Finding::warning(PLACE, what, format!("end it: kill {pid}")).with(Mend::End { process })
        })
        .collect()
}

/// A sidecar that will start nothing.
fn unusable(known: &Known) -> Option<Finding> {
    let why = known.sidecar.as_ref()?.as_ref().err()?;
    let finding = Finding::of_error(PLACE, Grade::Broken, why);
    let hint = format!("repair it, or run terokctl cleanup --force {}", known.name);
    Some(Finding { hint: finding.hint.or(Some(hint)), ..finding })
}

/// Containers that run without their supervisor: by the dead one's own file, or by podman, which
/// also knows of those whose file is gone.
fn unserved(known: &[Known], podman: Option<&Podman>, listed: Option<&[Listed]>) -> Vec<Finding> {
    let unserved = |known: &&Known| match known.state() {
        State::Unsupervised => true,
        State::Stopped => {
            let running = listed
                .unwrap_or_default()
                .iter()
                .any(|listed| listed.state == "running" && listed.names.contains(&known.name));
            // Another container may have taken the name.
            running && podman.is_some_and(|podman| carries_sidecar(podman, known))
        }
        State::Serving | State::Unusable => false,
    };
    let finding = |known: &Known| {
        let what = format!("{} runs without its supervisor", known.name);
        Finding::broken(PLACE, what, format!("run terokctl respawn {}", known.name))
            .with(Mend::Respawn { name: known.name.clone() })
    };
    known.iter().filter(unserved).map(finding).collect()
}

/// Services that their supervisor has stopped starting.
fn down(known: &Known) -> Vec<Finding> {
    let finding = |service: &ServiceStatus| {
        let why = service.last_error.as_deref().unwrap_or("no reason given");
        let what = format!(
            "{} of {} ended too often and is not started again, last: {why}",
            service.service, known.name
        );
        let hint = format!("see terokctl logs {0}, then run terokctl respawn {0}", known.name);
        Finding::broken(PLACE, what, hint).with(Mend::Respawn { name: known.name.clone() })
    };
    known.failed().map(finding).collect()
}

fn carries_sidecar(podman: &Podman, known: &Known) -> bool {
    let inspected = podman.inspect(&known.name).ok().flatten();
    let sidecar = inspected.and_then(|inspected| inspected.sidecar);
    sidecar
        .is_some_and(|path| Path::new(&path).file_stem().is_some_and(|stem| *stem == *known.name))
}

/// Files of a run that is over.
fn records(run: &Run) -> Option<Finding> {
    let over = run.living.is_none() && run.container.is_none() && run.age > GRACE;
    over.then(|| {
        let what = format!("pid or status file of a dead supervisor of {}", run.id.short());
        let names: Vec<String> = run.files.iter().map(|file| file.display().to_string()).collect();
        Finding::warning(PLACE, what, format!("remove {}", names.join(" and ")))
            .with(Mend::Remove { files: run.files.clone(), directory: None })
    })
}

/// Socket directories without a sidecar: nobody can serve there any more.
fn socket_directories(runtime_dir: &Path, known: &[Known]) -> Vec<Finding> {
    let directories = entries(&layout::socket_directories(runtime_dir)).unwrap_or_default();
    let without = directories.into_iter().filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(container_name);
        let known = name.is_some_and(|name| known.iter().any(|known| known.name == name.as_str()));
        path.is_dir() && !known && age(path).is_some_and(|age| age > GRACE)
    });
    without
        .map(|path| {
            let what = format!("socket directory {} has no sidecar", path.display());
            let hint = format!("remove it: rm -r {}", path.display());
            let files = sockets(&path);
            Finding::warning(PLACE, what, hint).with(Mend::Remove { files, directory: Some(path) })
        })
        .collect()
}

/// What our supervisors make in such a directory, and nothing else: a file of somebody's keeps it.
fn sockets(directory: &Path) -> Vec<PathBuf> {
    [layout::BROKER_SOCKET, layout::SIGNER_SOCKET, layout::AGENT_SOCKET, layout::GATE_SOCKET]
        .map(|socket| directory.join(socket))
        .into_iter()
        .filter(|path| fs::symlink_metadata(path).is_ok())
        .collect()
}

/// A sidecar that podman has no container for. It may be another engine's, and its tokens are the
/// operator's, so nothing is done about it here.
fn gone(known: &Known, listed: &[Listed]) -> Option<Finding> {
    let stopped = known.sidecar().is_some() && known.state() == State::Stopped;
    let there = listed.iter().any(|listed| listed.names.contains(&known.name));
    let age = known.sidecar_age.filter(|age| stopped && !there && *age > SIDECAR_GRACE)?;
    let what = format!(
        "{} was prepared {} ago and podman has no such container; its tokens are still good",
        known.name,
        clock::words(age)
    );
    let hint = format!("run terokctl cleanup {}, unless another runtime has it", known.name);
    Some(Finding::warning(PLACE, what, hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str, sidecar_age: u64) -> Known {
        let json =
            format!(r#"{{"container_name":"{name}","db_path":"/v/c.db","runtime_dir":"/r"}}"#);
        let path = format!("/s/sidecar/{name}.json");
        let sidecar = terok_shared::sidecar::Sidecar::parse(Path::new(&path), json.as_bytes());
        Known {
            name: name.to_owned(),
            sidecar: Some(Ok(sidecar.unwrap())),
            sidecar_age: Some(Duration::from_secs(sidecar_age)),
            runs: vec![],
        }
    }

    fn listed(name: &str) -> Listed {
        Listed { names: vec![name.into()], state: "exited".into() }
    }

    #[test]
    fn a_sidecar_has_an_hour_and_a_container_of_any_state_keeps_it() {
        let listed = [listed("kept")];
        assert!(gone(&known("web", 3000), &listed).is_none());
        assert!(gone(&known("kept", 4000), &listed).is_none());
        let finding = gone(&known("web", 4000), &listed).unwrap();
        assert!(finding.hint.as_ref().unwrap().contains("cleanup web") && finding.mend.is_none());
    }

    #[test]
    fn a_socket_directory_is_left_alone_while_a_sidecar_or_the_grace_speaks_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let of = |name: &str| layout::socket_directories(dir.path()).join(name);
        fs::create_dir_all(of("lost/vault")).unwrap();
        fs::write(of("lost").join(layout::BROKER_SOCKET), "").unwrap();
        fs::create_dir(of("web")).unwrap();
        assert!(socket_directories(dir.path(), &[known("web", 0)]).is_empty());
        let past = std::time::SystemTime::now() - Duration::from_secs(100);
        for name in ["lost", "web"] {
            fs::File::open(of(name)).unwrap().set_modified(past).unwrap();
        }
        let findings = socket_directories(dir.path(), &[known("web", 0)]);
        assert_eq!(findings.len(), 1);
        let Some(Mend::Remove { files, directory }) = &findings[0].mend else { panic!() };
        assert_eq!((files.len(), directory.as_deref()), (1, Some(of("lost").as_path())));
    }

    #[test]
    fn a_number_that_a_younger_process_took_is_a_lost_container() {
        let me = Process::current().unwrap();
        let of = |started, container_pid| Supervisor {
            process: Process::recorded(1, started),
            sidecar: "/s/sidecar/w.json".into(),
            container_id: None,
            container_pid,
        };
        assert!(has_lost_container(&of(me.started() - 1, Some(me.pid()))));
        assert!(!has_lost_container(&of(me.started() + 1, Some(me.pid()))));
        assert!(!has_lost_container(&of(0, None)));
    }
}

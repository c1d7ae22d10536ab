//! Our processes as the kernel lists them, whatever files say: supervisors by their arguments, and
//! services without a supervisor.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Pid, geteuid, getsid};
use terok_shared::container::ContainerId;
use terok_shared::process::Process;
use terok_shared::service::Service;

use crate::setup::SUPERVISOR;

/// One running supervisor, by its own words.
#[derive(Debug, Clone)]
pub(super) struct Supervisor {
    pub(super) process: Process,
    pub(super) sidecar: PathBuf,
    /// Neither is there when it was started by hand.
    pub(super) container_id: Option<ContainerId>,
    pub(super) container_pid: Option<i32>,
}

/// This user's supervisors of sidecars in `directory`.
pub(super) fn of(directory: &Path) -> io::Result<Vec<Supervisor>> {
    let ours = |(process, words): (Process, Vec<Vec<u8>>)| {
        let supervisor = read(process, &words)?;
        (supervisor.sidecar.parent() == Some(directory)).then_some(supervisor)
    };
    Ok(processes()?.into_iter().filter_map(ours).collect())
}

/// This user's services out of `programs`, an installation's directory, that have lost their
/// supervisor: their parent is none, and the leader of their session, which it was, is dead. The
/// kernel ends them with it (PR_SET_PDEATHSIG), unless something went wrong.
///
/// A service that somebody runs by hand, or from a build directory, is theirs.
pub(super) fn orphans(programs: &Path) -> io::Result<Vec<(Service, Process)>> {
    let all = processes()?;
    let supervisors: Vec<i32> = all
        .iter()
        .filter(|(_, words)| program(words) == Some(OsStr::new(SUPERVISOR)))
        .map(|(process, _)| process.pid())
        .collect();
    let orphan = |(process, words): (Process, Vec<Vec<u8>>)| {
        let service = service_in(programs, &words)?;
        let lost = !supervisors.contains(&parent(process)?) && has_lost_leader(process);
        lost.then_some((service, process))
    };
    Ok(all.into_iter().filter_map(orphan).collect())
}

fn service_in(programs: &Path, words: &[Vec<u8>]) -> Option<Service> {
    let path = Path::new(OsStr::from_bytes(words.first()?));
    let service = Service::ALL.into_iter().find(|service| path.ends_with(service.program()))?;
    // The gate's own program also runs as git's hook, with arguments.
    let alone = words.iter().filter(|word| !word.is_empty()).count() == 1;
    (alone && path.parent() == Some(programs)).then_some(service)
}

fn has_lost_leader(process: Process) -> bool {
    let session = getsid(Some(Pid::from_raw(process.pid())));
    session.is_ok_and(|leader| Process::of(leader.as_raw()).is_err())
}

fn processes() -> io::Result<Vec<(Process, Vec<Vec<u8>>)>> {
    let uid = geteuid().as_raw();
    let entries = fs::read_dir("/proc")?.flatten();
    let pids = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse::<i32>().ok()?;
        // A process that is not dumpable has root's directory here, so its status is asked.
        (owner(pid)? == uid).then_some(pid)
    });
    let read = |pid| {
        let process = Process::of(pid).ok()?;
        let words = process.arguments().ok()?;
        process.is_alive().then_some((process, words))
    };
    Ok(pids.filter_map(read).collect())
}

/// The effective uid: second number of `Uid:` in proc_pid_status(5).
fn owner(pid: i32) -> Option<u32> {
    if fs::metadata(format!("/proc/{pid}")).ok()?.uid() == geteuid().as_raw() {
        return Some(geteuid().as_raw());
    }
    status_field(pid, "Uid:")?.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn parent(process: Process) -> Option<i32> {
    status_field(process.pid(), "PPid:")?.parse().ok()
}

fn status_field(pid: i32, name: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().to_owned())
}

fn program(words: &[Vec<u8>]) -> Option<&OsStr> {
    Path::new(OsStr::from_bytes(words.first()?)).file_name()
}

fn read(process: Process, words: &[Vec<u8>]) -> Option<Supervisor> {
    if program(words)? != SUPERVISOR {
        return None;
    }
    let value = |option: &str| {
        let at = words.iter().position(|word| word == option.as_bytes())?;
        words.get(at + 1).map(|word| OsStr::from_bytes(word))
    };
    let text = |option| value(option)?.to_str();
    Some(Supervisor {
        process,
        sidecar: value("--sidecar")?.into(),
        container_id: text("--container-id").and_then(|id| ContainerId::parse(id).ok()),
        container_pid: text("--container-pid").and_then(|pid| pid.parse().ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn a_supervisor_is_known_by_its_arguments() {
        let me = Process::current().unwrap();
        let line = "/x/terok-supervisor --sidecar /s/sidecar/w.json --container-id abc \
                    --container-pid 7 --readiness-fd 3";
        let supervisor = read(me, &words(line)).unwrap();
        assert_eq!(supervisor.sidecar, Path::new("/s/sidecar/w.json"));
        assert_eq!(supervisor.container_id.unwrap().as_str(), "abc");
        assert_eq!(supervisor.container_pid, Some(7));
        assert!(read(me, &words("/bin/vim --sidecar /s/sidecar/w.json")).is_none());
        assert!(read(me, &words("/x/terok-supervisor --version")).is_none());
    }

    #[test]
    fn only_an_installations_own_services_can_be_orphans() {
        let installed = Path::new("/s/libexec");
        let service = |line| service_in(installed, &words(line));
        assert_eq!(service("/s/libexec/terok-token-broker"), Some(Service::Broker));
        for other in [
            "/build/terok-token-broker",
            "/s/libexec/terok-supervisor",
            "/s/libexec/terok-git-gate post-receive",
            "",
        ] {
            assert_eq!(service(other), None, "{other}");
        }
        // This process's session has a leader, or none that could be ours.
        assert!(orphans(Path::new("/nowhere")).unwrap().is_empty());
    }

    #[test]
    fn nobody_serves_a_directory_that_is_not_there() {
        assert!(of(Path::new("/nowhere/sidecar")).unwrap().is_empty());
    }
}

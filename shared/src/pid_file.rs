//! The pid file of one supervisor: its pid on the first line, its start time on the second, and
//! the container's init, pid and start time, on the third.
//!
//! Readers of the contract take the first line; the second makes a reused pid harmless, the third
//! lets a late poststop see that the container it speaks of runs again. A file without start time
//! (another program's) is believed only if the process's arguments name the container.

use std::fs;
use std::io;
use std::path::Path;

use crate::container::ContainerId;
use crate::process::Process;
use crate::record;

const MAX_BYTES: u64 = 128;

/// What a pid file says of a supervisor that still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Living {
    pub supervisor: Process,
    /// The container's init, when the supervisor was told of one.
    pub container: Option<Process>,
}

/// Writes the file whole or not at all (mode 0600).
pub fn write(path: &Path, living: Living) -> io::Result<()> {
    record::write(path, text(living).as_bytes())
}

fn text(living: Living) -> String {
    let line =
        |process: Process, between| format!("{}{between}{}\n", process.pid(), process.started());
    let container = living.container.map(|container| line(container, ' ')).unwrap_or_default();
    line(living.supervisor, '\n') + &container
}

/// The living supervisor of `id`, if the file names one. A file that is missing, malformed, not
/// ours, or names a dead process names nobody.
pub fn living(path: &Path, id: &ContainerId) -> Option<Living> {
    let record = parse(&record::read(path, MAX_BYTES).ok()?)?;
    let supervisor = match record.started {
        Some(started) => Process::recorded(record.pid, started),
        None => {
            Process::of(record.pid).ok().filter(|it| has_argument(*it, id.as_str().as_bytes()))?
        }
    };
    supervisor.is_alive().then_some(Living { supervisor, container: record.container })
}

/// As `living`, if `word` is among the supervisor's arguments. That is looked at first: in a crowd
/// almost every supervisor is somebody else's.
pub fn living_with(path: &Path, id: &ContainerId, word: &[u8]) -> Option<Living> {
    let record = parse(&record::read(path, MAX_BYTES).ok()?)?;
    has_argument(Process::recorded(record.pid, 0), word).then(|| living(path, id))?
}

/// The container's init that the file names, also when its supervisor is dead; alive or not.
pub fn container(path: &Path) -> Option<Process> {
    parse(&record::read(path, MAX_BYTES).ok()?)?.container
}

/// Removes the file; one that is already gone is fine.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
        _ => Ok(()),
    }
}

struct Record {
    pid: i32,
    started: Option<u64>,
    container: Option<Process>,
}

fn parse(text: &[u8]) -> Option<Record> {
    let mut lines = std::str::from_utf8(text).ok()?.lines();
    let pid = lines.next()?.trim().parse().ok().filter(|pid| *pid > 0)?;
    let started = lines.next().and_then(|line| line.trim().parse().ok());
    let container = lines.next().and_then(|line| {
        let (pid, started) = line.split_once(' ')?;
        Some(Process::recorded(pid.parse().ok()?, started.parse().ok()?))
    });
    Some(Record { pid, started, container })
}

/// Whoever has the pid now.
fn has_argument(process: Process, word: &[u8]) -> bool {
    process.arguments().is_ok_and(|words| words.iter().any(|it| it == word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ContainerId {
        ContainerId::parse("abc").unwrap()
    }

    #[test]
    fn a_written_file_names_the_living_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("supervisor-abc.pid");
        let me = Process::current().unwrap();
        for container in [None, Some(me)] {
            let written = Living { supervisor: me, container };
            write(&path, written).unwrap();
            assert_eq!(living(&path, &id()), Some(written));
        }
        assert!(fs::read_to_string(&path).unwrap().starts_with(&format!("{}\n", me.pid())));
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(living(&path, &id()), None);
    }

    #[test]
    fn garbage_and_reused_pids_name_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pid");
        let me = Process::current().unwrap();
        let texts =
            ["".into(), "-1\n".into(), "0\n".into(), "x\n".into(), format!("{}\n1\n", me.pid())];
        for text in texts {
            fs::write(&path, text).unwrap();
            assert_eq!(living(&path, &id()), None);
        }
    }

    #[test]
    fn a_file_without_start_time_is_believed_only_if_the_arguments_name_the_container() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pid");
        fs::write(&path, format!("{}\n", std::process::id())).unwrap();
        assert_eq!(living(&path, &id()), None);
    }
}

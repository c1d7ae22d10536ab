//! Processes as the kernel shows them in proc(5): who runs, in which state, with which descriptors.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::process::{Signal, pidfd_send_signal};
use terok_shared::process::{Process, session_members};
use terok_shared::service::Service;

/// One supervisor and its services.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    pub parent: Process,
}

impl Tree {
    /// The service's process, once it executes its own program.
    pub fn child(&self, service: Service) -> Option<Process> {
        let members = session_members(self.parent.pid()).unwrap();
        members.into_iter().find(|process| runs(*process, service))
    }

    /// Parent and services, each with its program's name.
    pub fn members(&self) -> Vec<(String, Process)> {
        let members = session_members(self.parent.pid()).unwrap();
        let named = |process: Process| {
            let program = program(process);
            (program.file_name().unwrap_or_default().to_string_lossy().into_owned(), process)
        };
        std::iter::once(self.parent).chain(members).map(named).collect()
    }

    /// Whether nobody of it is left.
    pub fn is_gone(&self) -> bool {
        !self.parent.is_alive() && session_members(self.parent.pid()).unwrap().is_empty()
    }
}

/// Sends a signal to this process and no other.
pub fn signal(process: Process, signal: Signal) {
    pidfd_send_signal(process.open().unwrap(), signal).unwrap();
}

fn program(process: Process) -> PathBuf {
    let first = process.arguments().unwrap_or_default().into_iter().next().unwrap_or_default();
    PathBuf::from(std::ffi::OsStr::from_bytes(&first))
}

/// Whether it executes this service's program.
pub fn runs(process: Process, service: Service) -> bool {
    program(process).ends_with(service.program())
}

/// The processes it started itself.
pub fn children(parent: Process) -> Vec<Process> {
    let of_parent = |process: &Process| stat_field(*process, PARENT) == Some(parent.pid());
    all_processes().into_iter().filter(of_parent).collect()
}

/// A field of proc_pid_status(5), such as `SigBlk`.
pub fn status(process: Process, field: &str) -> String {
    let text = fs::read_to_string(file(process, "status")).unwrap();
    let prefix = format!("{field}:");
    let line = text.lines().find_map(|line| line.strip_prefix(&prefix));
    line.unwrap_or_else(|| panic!("no {field} in status")).trim().to_owned()
}

/// A hexadecimal field of the same.
pub fn mask(process: Process, field: &str) -> u64 {
    u64::from_str_radix(&status(process, field), 16).unwrap()
}

/// Open descriptors and what they lead to; `None` when the kernel does not let us look.
pub fn descriptors(process: Process) -> Option<BTreeMap<i32, String>> {
    let entries = fs::read_dir(file(process, "fd")).ok()?;
    let read = |entry: fs::DirEntry| {
        let number = entry.file_name().to_str()?.parse().ok()?;
        Some((number, fs::read_link(entry.path()).ok()?.to_string_lossy().into_owned()))
    };
    Some(entries.flatten().filter_map(read).collect())
}

/// The environment it was started with.
pub fn environment(process: Process) -> BTreeMap<String, String> {
    let text = fs::read(file(process, "environ")).unwrap();
    let pairs = text.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    pairs
        .filter_map(|pair| {
            Some(pair.split_once('=')?).map(|(name, value)| (name.to_owned(), value.to_owned()))
        })
        .collect()
}

pub fn working_directory(process: Process) -> PathBuf {
    fs::read_link(file(process, "cwd")).unwrap()
}

/// Soft limit of a resource as proc_pid_limits(5) names it, such as `Max core file size`.
pub fn limit(process: Process, name: &str) -> String {
    let text = fs::read_to_string(file(process, "limits")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a limit");
    line.split_whitespace().next().expect("a soft limit").to_owned()
}

/// The session's leader.
pub fn session(process: Process) -> Option<i32> {
    stat_field(process, SESSION)
}

/// Fields of proc_pid_stat(5), counted from the one after the command.
const PARENT: usize = 1;
const SESSION: usize = 3;

fn stat_field(process: Process, number: usize) -> Option<i32> {
    let text = fs::read_to_string(file(process, "stat")).ok()?;
    // The command may hold anything, so it is skipped from the end.
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split(' ').nth(number)?.parse().ok()
}

pub(crate) fn all_processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Process::of(pid).ok()).collect()
}

pub(crate) fn starts_with(word: &[u8], path: &Path) -> bool {
    word.starts_with(path.as_os_str().as_bytes())
}

pub fn file(process: Process, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{name}", process.pid()))
}

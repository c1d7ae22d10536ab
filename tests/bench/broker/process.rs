//! A process by its id: processor time, memory, and its end.

use std::fs;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A child of ours; not reaped before the benchmark ends, so the id stays its own.
#[derive(Clone, Copy)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// Nanoseconds on a processor so far, of its only busy thread
    /// (Documentation/scheduler/sched-stats.rst).
    pub(crate) fn cpu_ns(self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/schedstat", self.0)).unwrap();
        text.split_whitespace().next().unwrap().parse().unwrap()
    }

    pub(crate) fn rss_kb(self) -> u64 {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0)).unwrap();
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    pub(crate) fn end(self) {
        let _ = kill(Pid::from_raw(self.0 as i32), Signal::SIGKILL);
    }
}

pub(crate) fn pin_self(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu).unwrap();
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}

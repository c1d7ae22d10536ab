//! Processor time of a process and of its ended children, from `/proc/<pid>/stat`.

use std::fs;
use std::ops::Sub;

/// Seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    pub(crate) own: f64,
    pub(crate) children: f64,
}

/// The kernel's unit of these times towards programs (proc_pid_stat(5), `USER_HZ`).
const TICKS: f64 = 100.0;

impl Usage {
    pub(crate) fn of(pid: u32) -> Self {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // The name, the second field, is the only one that may hold spaces.
        let fields: Vec<f64> = stat
            .rsplit_once(')')
            .unwrap()
            .1
            .split_whitespace()
            .map(|field| field.parse().unwrap_or_default())
            .collect();
        // utime, stime, cutime and cstime are fields 14 to 17; ours begin with the third.
        Self { own: (fields[11] + fields[12]) / TICKS, children: (fields[13] + fields[14]) / TICKS }
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self { own: self.own - earlier.own, children: self.children - earlier.children }
    }
}

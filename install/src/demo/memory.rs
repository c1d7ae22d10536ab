//! What the services cost: the memory of a supervisor and its children.

use std::process::Command;

use terok_shared::process::{Process, session_members};

pub(super) struct Memory {
    pub(super) processes: usize,
    pub(super) kib: u64,
    /// Proportional set size, or what is resident where the kernel does not show the former.
    pub(super) measure: &'static str,
}

/// Of the session that `supervisor` leads. Hardened processes show their maps only to the root of
/// their user namespace, which `podman` (as `podman unshare`) can ask.
pub(super) fn of(supervisor: Process, podman: Option<Command>) -> Memory {
    let mut pids = vec![supervisor.pid()];
    pids.extend(session_members(supervisor.pid()).unwrap_or_default().iter().map(|p| p.pid()));
    let rollups: Vec<String> = pids.iter().map(|pid| format!("/proc/{pid}/smaps_rollup")).collect();
    let text = match podman {
        Some(mut podman) => podman
            .args(["unshare", "cat"])
            .args(&rollups)
            .output()
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default(),
        None => rollups.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect(),
    };
    let kib: u64 = kilobytes(&text, "Pss:").sum();
    if kib > 0 {
        return Memory { processes: pids.len(), kib, measure: "PSS" };
    }
    let statuses: String = pids
        .iter()
        .filter_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")).ok())
        .collect();
    Memory { processes: pids.len(), kib: kilobytes(&statuses, "VmRSS:").sum(), measure: "RSS" }
}

fn kilobytes(text: &str, key: &str) -> impl Iterator<Item = u64> {
    text.lines()
        .filter_map(move |line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rollups_of_several_processes_are_summed() {
        let text = "Rss: 9 kB\nPss:   120 kB\nPss_Anon: 7 kB\nPss: 30 kB\n";
        assert_eq!(kilobytes(text, "Pss:").sum::<u64>(), 150);
    }
}

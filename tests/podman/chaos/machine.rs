//! What is on the machine: processes, namespaces, mounts, sockets of ours. Two looks are compared,
//! and what only the second one sees was left behind.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::operator::Operator;

#[derive(Debug)]
pub(super) struct Machine(BTreeSet<String>);

impl Machine {
    pub(super) fn look(operator: &Operator) -> Self {
        let mut seen = BTreeSet::new();
        for process in numbers() {
            see_process(&process, &mut seen);
        }
        // podman's processes have a mount namespace of their own, where the hooks run.
        let theirs = operator.podman_ok(&["unshare", "cat", "/proc/self/mountinfo"]);
        let ours = fs::read_to_string("/proc/self/mountinfo").unwrap();
        for line in theirs.lines().chain(ours.lines()) {
            // Device and mount point, proc_pid_mountinfo(5).
            let fields: Vec<&str> = line.split(' ').collect();
            seen.insert(format!("mount {} {}", fields[2], fields[4]));
        }
        let sockets = operator.runtime_dir().join("run");
        let listening = fs::read_to_string("/proc/net/unix").unwrap();
        let ours = listening.lines().filter_map(|line| line.split(' ').next_back());
        let ours = ours.filter(|path| Path::new(path).starts_with(&sockets));
        seen.extend(ours.map(|path| format!("socket {path}")));
        Self(seen)
    }

    /// What was not there at `earlier`.
    pub(super) fn new_since(&self, earlier: &Self) -> Vec<String> {
        self.0.difference(&earlier.0).cloned().collect()
    }
}

fn numbers() -> Vec<PathBuf> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let is_process = |entry: &fs::DirEntry| {
        entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok())
    };
    entries.filter(is_process).map(|entry| entry.path()).collect()
}

/// The process with its start time, and its namespaces.
fn see_process(process: &Path, seen: &mut BTreeSet<String>) {
    let Ok(stat) = fs::read_to_string(process.join("stat")) else { return };
    let (named, rest) = stat.rsplit_once(") ").expect("a command in parentheses");
    let fields: Vec<&str> = rest.split(' ').collect();
    // A zombie is its parent's to fetch; podman's own processes do so at their leisure.
    let podmans = ["(podman", "(catatonit", "(fuse-overlayfs", "(slirp4netns"];
    if fields[0] == "Z" || podmans.iter().any(|name| named.ends_with(name)) {
        return;
    }
    seen.insert(format!("process {named}) started {}", fields[19]));
    for namespace in fs::read_dir(process.join("ns")).into_iter().flatten().flatten() {
        if let Ok(facts) = fs::metadata(namespace.path()) {
            let kind = namespace.file_name();
            seen.insert(format!("namespace {} {}", kind.to_string_lossy(), facts.ino()));
        }
    }
}

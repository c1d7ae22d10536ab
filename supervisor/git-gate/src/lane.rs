//! What the gate and everything it starts may still reach: the one mirror, git's own programs, and
//! what they need to run. No shell is among it and no socket can be made.

use std::fs;
use std::path::{Path, PathBuf};

use terok_service::{Lane, Sockets};

use crate::git::Git;
use crate::home::Home;
use crate::mirror::Mirror;
use crate::policy::Rules;

/// Shared libraries, and what the dynamic loader and libc look at.
const READ: [&str; 12] = [
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/gnu/store",
    "/nix/store",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/passwd", // git asks who owns a repository
    "/dev/urandom",
    "/sys/devices/system/cpu/online", // how many threads for deltas
];

/// Where the dynamic loader is; the kernel executes it beside every program.
const LOADER_DIRECTORIES: [&str; 3] = ["/lib", "/lib64", "/usr/lib"];
const LOADER_NAMES: [&str; 3] = ["ld-linux", "ld-musl", "ld64.so"];

pub(crate) fn of(git: &Git, home: &Home, mirror: &Mirror, rules: &Rules) -> Lane {
    let mut read: Vec<PathBuf> = READ.iter().map(PathBuf::from).collect();
    read.push(home.directory.clone());
    let mut execute = vec![git.exec_path.clone(), git.program.clone(), home.program.clone()];
    let signers: Vec<PathBuf> = rules.signers().map(Path::to_owned).collect();
    if !signers.is_empty() {
        execute.extend(git.ssh_keygen.clone());
        read.extend(signers);
    }
    execute.extend(LOADER_DIRECTORIES.iter().flat_map(|directory| loaders(Path::new(directory))));
    Lane {
        read,
        write: vec![mirror.path().to_owned(), PathBuf::from("/dev/null")],
        execute,
        sockets: Sockets::Inherited,
        ..Lane::default()
    }
}

/// What to tell an operator whose kernel gets in git's way: before Linux 5.19 Landlock lets no file
/// move from one directory to another (landlock(7), `LANDLOCK_ACCESS_FS_REFER`), which is how git
/// takes a push out of quarantine. `release` is uname(2)'s.
pub(crate) fn warning(release: &str) -> Option<String> {
    const REFER: (u32, u32) = (5, 19);
    let mut numbers = release.split(['.', '-']).map_while(|word| word.parse::<u32>().ok());
    let version = (numbers.next()?, numbers.next()?);
    (version < REFER).then(|| {
        format!(
            "pushes will fail: the Landlock of Linux {release} does not let git move files\n\
             hint: boot Linux 5.19 or later"
        )
    })
}

fn loaders(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let is_loader = |name: &str| LOADER_NAMES.iter().any(|start| name.starts_with(start));
    entries
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(is_loader))
        .map(|entry| entry.path())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_whose_landlock_stops_pushes_are_known() {
        for release in ["5.13.0", "5.18.19-generic", "5.15"] {
            assert!(warning(release).unwrap().contains("hint: "), "{release}");
        }
        for release in ["5.19.0", "6.1.0-18-amd64", "6.18.44-x", "7.0", "what"] {
            assert_eq!(warning(release), None, "{release}");
        }
    }
}

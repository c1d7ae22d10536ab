//! Whose container this is: the host user behind uid 0 of a rootless namespace.
//!
//! podman passes no environment at poststop and another one at every version, so home and runtime
//! directory come from the kernel's uid_map and the user database.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User, geteuid};

/// Where programs of the system are, whoever the caller is.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The environment of what we start, built from nothing.
pub fn environment() -> Vec<(&'static str, PathBuf)> {
    let mut variables = vec![("PATH", PathBuf::from(PATH)), ("LANG", PathBuf::from("C.UTF-8"))];
    let uid = host_uid();
    if let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) {
        variables.push(("HOME", user.dir));
    }
    variables.extend(runtime_directory().map(|directory| ("XDG_RUNTIME_DIR", directory)));
    variables
}

/// `/run/user/<uid>`, where a login made it.
pub fn runtime_directory() -> Option<PathBuf> {
    Some(PathBuf::from(format!("/run/user/{}", host_uid()))).filter(|directory| owns(directory))
}

/// Whether `directory` is a directory of ours, not reached through a symbolic link.
pub fn owns(directory: &Path) -> bool {
    std::fs::symlink_metadata(directory)
        .is_ok_and(|facts| facts.is_dir() && facts.uid() == geteuid().as_raw())
}

/// `<state root>/libexec` is where `terokctl setup` puts our programs.
pub fn installed_below() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let directory = program.parent()?;
    (directory.file_name()? == "libexec").then(|| directory.parent().map(Path::to_owned))?
}

/// Where the runtime calls us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// Among the machine's own users.
    Host,
    /// In a user namespace, whose root is the operator.
    Namespace,
}

pub fn ground() -> Ground {
    let uid = geteuid().as_raw();
    if host_uid() == uid { Ground::Host } else { Ground::Namespace }
}

fn host_uid() -> u32 {
    let uid = geteuid().as_raw();
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    outer_uid(&map, uid).unwrap_or(uid)
}

/// user_namespaces(7): each line is first inner id, first outer id, length.
fn outer_uid(map: &str, uid: u32) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace().map(str::parse::<u32>);
        let (inner, outer, length) =
            (fields.next()?.ok()?, fields.next()?.ok()?, fields.next()?.ok()?);
        let offset = uid.checked_sub(inner).filter(|offset| *offset < length)?;
        outer.checked_add(offset)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_of_a_rootless_namespace_is_the_operator() {
        let map = "         0       1002          1\n         1     165536      65536\n";
        assert_eq!(outer_uid(map, 0), Some(1002));
        assert_eq!(outer_uid(map, 5), Some(165540));
        assert_eq!(outer_uid(map, 70000), None);
        assert_eq!(outer_uid("0 0 4294967295\n", 0), Some(0));
    }
}

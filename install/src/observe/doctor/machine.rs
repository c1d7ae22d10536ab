//! The machine: what the kernel and the system's own programs must give us.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::statvfs::statvfs;
use nix::unistd::{User, geteuid};
use terok_shared::sys::landlock;

use super::finding::Finding;
use crate::directories::Directories;
use crate::observe::podman;

/// Where renaming between directories became a right of its own: without it git cannot move the
/// objects of a push into place.
const ABI_WITH_REFER: i64 = 2;
/// Less than this in the state directory is a warning: logs of one container have 8 MiB at most.
const ROOM: u64 = 32 * 1024 * 1024;

pub(super) fn examine(directories: &Directories) -> Vec<Finding> {
    let mut findings = vec![landlock_of(landlock::abi().ok()), podman_there(), git()];
    findings.extend(selinux(&read("/sys/fs/selinux/enforce")));
    findings.extend(apparmor(&read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")));
    findings.extend(linger());
    findings.extend(room(directories.state.path()));
    findings
}

fn landlock_of(abi: Option<i64>) -> Finding {
    const PLACE: &str = "landlock";
    match abi {
        None => Finding::broken(
            PLACE,
            "this kernel has no Landlock in force, and no service starts without it",
            "boot Linux 5.13 or later with `landlock` in its lsm= list",
        ),
        Some(abi) if abi < ABI_WITH_REFER => Finding::warning(
            PLACE,
            format!("interface {abi} cannot allow renaming between directories: pushes fail"),
            "boot Linux 5.19 or later to use the git gate",
        ),
        Some(abi) => Finding::good(PLACE, format!("interface {abi}")),
    }
}

fn podman_there() -> Finding {
    const PLACE: &str = "podman";
    let Some(program) = podman::program("podman") else {
        return Finding::note(PLACE, "not on PATH; other runtimes need `terokctl hooks inject`");
    };
    let mut command = Command::new(program);
    command.arg("--version");
    match podman::ask(command) {
        Ok(said) => Finding::good(PLACE, String::from_utf8_lossy(&said).trim().to_owned()),
        Err(why) => Finding::broken(PLACE, why.to_string(), "repair or reinstall podman"),
    }
}

/// The gate runs git itself, of which the server's half may be a package of its own.
fn git() -> Finding {
    const PLACE: &str = "git";
    let Some(program) = podman::program("git") else {
        let hint = "install git; containers without --gate need none";
        return Finding::warning(PLACE, "not on PATH: the git gate cannot start", hint);
    };
    let mut command = Command::new(program);
    command.arg("--exec-path");
    let path = podman::ask(command).map(|said| String::from_utf8_lossy(&said).trim().to_owned());
    match path {
        Err(why) => Finding::warning(PLACE, why.to_string(), "repair or reinstall git"),
        Ok(path) if !Path::new(&path).join("git-http-backend").is_file() => Finding::warning(
            PLACE,
            format!("no git-http-backend in {path}: the git gate cannot start"),
            "install the package with git's HTTP server side (git-core, git-daemon)",
        ),
        Ok(path) => Finding::good(PLACE, format!("git-http-backend in {path}")),
    }
}

fn selinux(enforce: &str) -> Option<Finding> {
    (enforce == "1").then(|| {
        Finding::note(
            "selinux",
            "enforcing: a container's label may not connect to sockets of the host; \
             `terokctl run` adds --security-opt label=disable, or use --mode tcp",
        )
    })
}

/// Ubuntu's restriction: rootless podman has a profile that lifts it, a podman of one's own not.
fn apparmor(restricts: &str) -> Option<Finding> {
    (restricts == "1").then(|| {
        Finding::note(
            "apparmor",
            "restricts user namespaces: a podman that is not the distribution's needs a profile \
             with `userns,` or sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        )
    })
}

/// Without linger the last logout ends a user's processes: containers and supervisors.
fn linger() -> Option<Finding> {
    const PLACE: &str = "linger";
    if geteuid().is_root() {
        return None;
    }
    let user = User::from_uid(geteuid()).ok().flatten()?.name;
    let Some(program) = podman::program("loginctl") else {
        return Some(Finding::note(PLACE, "unknown: no loginctl, so nobody ends sessions here"));
    };
    let mut command = Command::new(program);
    command.args(["show-user", &user, "--property=Linger", "--value"]);
    let said = podman::ask(command).unwrap_or_default();
    Some(lingering(String::from_utf8_lossy(&said).trim(), &user))
}

/// `answer` as loginctl gives it; empty when it gives none.
fn lingering(answer: &str, user: &str) -> Finding {
    const PLACE: &str = "linger";
    match answer {
        "yes" => Finding::good(PLACE, "on: containers outlive your logout"),
        "no" => Finding::warning(
            PLACE,
            "off: your logout ends containers and their supervisors",
            format!("run loginctl enable-linger {user}"),
        ),
        _ => Finding::note(PLACE, "unknown: no login manager answers"),
    }
}

fn room(state: &Path) -> Option<Finding> {
    let facts = statvfs(state.ancestors().find(|path| path.is_dir())?).ok()?;
    let free = facts.blocks_available() as u64 * facts.fragment_size() as u64;
    (free < ROOM).then(|| {
        Finding::warning(
            "disk",
            format!("{} MiB are left for {}", free / 1024 / 1024, state.display()),
            "make room: with a full disk no supervisor can be recorded or logged",
        )
    })
}

/// A kernel file's word; empty where there is none.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Grade;
    use super::*;

    #[test]
    fn an_old_kernel_is_told_from_one_without_landlock() {
        assert_eq!(landlock_of(None).grade, Grade::Broken);
        let old = landlock_of(Some(1));
        assert!(old.grade == Grade::Warning && old.what.contains("pushes fail"), "{old:?}");
        assert_eq!(landlock_of(Some(6)).grade, Grade::Good);
    }

    #[test]
    fn label_and_namespace_restrictions_are_named_where_they_are() {
        assert!(selinux("0").is_none() && selinux("").is_none() && apparmor("").is_none());
        assert!(selinux("1").unwrap().what.contains("label=disable"));
        assert!(apparmor("1").unwrap().what.contains("userns"));
    }

    #[test]
    fn a_logout_that_ends_containers_is_warned_of_with_the_command_against_it() {
        let off = lingering("no", "ann");
        assert_eq!(off.grade, Grade::Warning);
        assert_eq!(off.hint.as_deref(), Some("run loginctl enable-linger ann"));
        assert_eq!(lingering("yes", "ann").grade, Grade::Good);
        assert_eq!(lingering("", "ann").grade, Grade::Note);
    }
}

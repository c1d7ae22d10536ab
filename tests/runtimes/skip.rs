//! A test that this machine cannot run says so, and why.

use std::io::Write;
use std::path::{Path, PathBuf};

/// Where programs of the system are; an unprivileged user's PATH leaves some of these out.
const DIRECTORIES: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Whether we are root and all programs are there; says what is not.
pub(crate) fn root_with(what: &str, programs: &[&str]) -> bool {
    if !nix::unistd::geteuid().is_root() {
        say(what, "needs root");
        return false;
    }
    with(what, programs)
}

/// Whether all programs are there; says which one is not.
pub(crate) fn with(what: &str, programs: &[&str]) -> bool {
    match programs.iter().find(|program| find(program).is_none()) {
        Some(missing) => {
            say(what, &format!("no {missing}"));
            false
        }
        None => true,
    }
}

/// The full path of a system program.
pub(crate) fn program(name: &str) -> PathBuf {
    find(name).unwrap_or_else(|| panic!("{name} was looked for before"))
}

pub(crate) fn say(what: &str, why: &str) {
    // Not by a macro, whose words would be kept back as a passing test's output.
    // With TEROK_TEST_REQUIRE_RUNTIMES=1 a skip is a failure.
    let required =
        std::env::var_os("TEROK_TEST_REQUIRE_RUNTIMES").is_some_and(|value| value == "1");
    assert!(!required, "may not be skipped: {what}: {why}");
    std::io::stderr().write_all(format!("skipped: {what}: {why}\n").as_bytes()).unwrap();
}

fn find(name: &str) -> Option<PathBuf> {
    // Debian's own before anything that lies in /usr/local.
    DIRECTORIES.iter().rev().map(|directory| Path::new(directory).join(name)).find(|p| p.is_file())
}

//! Root's setup is for the system: every user's podman reads root's list of hooks directories, and
//! refuses every container when it cannot open one of them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::unistd::geteuid;
use terok_tests::house::NOBODY;

use crate::desk::Desk;

/// Whether a user without rights gets to do this.
fn may(program: &str, words: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(words).env_clear().current_dir("/").uid(NOBODY).gid(NOBODY);
    command.output().is_ok_and(|output| output.status.success())
}

#[test]
fn another_user_can_read_the_hooks_and_run_them_and_nothing_else() {
    if !geteuid().is_root() {
        println!("skipped: only root sets up for others");
        return;
    }
    let desk = Desk::new();
    fs::create_dir_all(desk.path("home/.local/share")).unwrap();
    // As `vault init` makes it, before there is a setup.
    let parent = desk.path("home/.local/share/terok");
    fs::create_dir(&parent).unwrap();
    fs::set_permissions(&parent, Permissions::from_mode(0o700)).unwrap();
    desk.ok(&["setup"]);
    desk.ok(&["prepare", "web"]);
    let state = desk.state();
    let below = |name: &str| state.join(name).to_str().unwrap().to_owned();
    assert!(may("/bin/ls", &[&below("hooks")]));
    assert!(may("/bin/cat", &[&below("hooks/terok-supervisor-createRuntime.json")]));
    assert!(may(&below("libexec/terok-hook"), &["--version"]));
    for closed in ["", "sidecar", "setup.json", "sidecar/web.json"] {
        assert!(
            !may("/bin/ls", &[&below(closed)]) || !may("/bin/cat", &[&below(closed)]),
            "{closed}"
        );
    }
    assert!(!may("/bin/ls", &[&below("")]) && !may("/bin/ls", &[&below("sidecar")]));
    desk.ok(&["cleanup", "web"]);
}

#[test]
fn a_place_that_others_cannot_reach_is_refused_for_the_system() {
    if !geteuid().is_root() {
        println!("skipped: only root sets up for others");
        return;
    }
    let desk = Desk::new();
    let closed = desk.path("home/closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let state = closed.join("state");
    let mut command = desk.command(&["setup"]);
    let output = command.env("TEROK_SANDBOX_STATE_DIR", &state).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("other users cannot go through it") && said.contains("chmod o+x"),
        "{said}"
    );
    assert!(!state.exists() && !desk.conf().exists());
}

//! What a service can no longer reach when it serves.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use serde_json::{Value, json};

use crate::start::{deed, in_lane, number};

fn refused(errno: &str) -> Value {
    json!({ "Refused": errno })
}

fn done() -> Value {
    json!({ "Done": "" })
}

const PROGRAMS: [&str; 4] = ["/usr", "/bin", "/lib", "/lib64"];

#[test]
fn a_file_outside_the_lane_is_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
    fs::write(&inside, "seen").unwrap();
    fs::write(&outside, "unseen").unwrap();
    let read = |path| in_lane(json!({ "read": [inside] }), json!({ "Read": path })).outcome();
    assert_eq!(read(&inside), json!({ "Done": "seen" }));
    assert_eq!(read(&outside), refused("EACCES"));
}

#[test]
fn a_file_outside_the_lane_is_unwritable() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
    for directory in [&inside, &outside] {
        fs::create_dir(directory).unwrap();
    }
    let lane = json!({ "write": [inside], "read": [outside] });
    let write = |path| in_lane(lane.clone(), json!({ "Write": path })).outcome();
    assert_eq!(write(inside.join("new")), done());
    assert_eq!(write(outside.join("new")), refused("EACCES"));
    assert_eq!(fs::read_to_string(inside.join("new")).unwrap(), "written");
    assert!(!outside.join("new").exists());
}

#[test]
fn a_path_of_the_lane_that_does_not_exist_is_left_out() {
    let lane = json!({ "read": ["/nowhere", "/etc/passwd"], "write": ["/nowhere"] });
    assert!(in_lane(lane, json!({ "Read": "/etc/passwd" })).outcome()["Done"].is_string());
}

#[test]
fn nothing_is_executed_without_a_lane_for_it() {
    let run = json!({ "Execute": ["/bin/true"] });
    // Readable and not executable would be EACCES: the call itself is refused.
    assert_eq!(in_lane(json!({ "read": PROGRAMS }), run).outcome(), refused("EPERM"));
}

#[test]
fn only_what_is_in_the_lane_is_executed() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("true");
    fs::copy("/bin/true", &copy).unwrap();
    let lane = json!({ "execute": PROGRAMS, "write": [folder.path()] });
    let run = |path| in_lane(lane.clone(), json!({ "Execute": [path] })).outcome();
    assert_eq!(run("/bin/true"), done());
    assert_eq!(run(copy.to_str().unwrap()), refused("EACCES"));
}

#[test]
fn a_service_that_does_not_dial_makes_no_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus");
    let _bus = UnixListener::bind(&path).unwrap();
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    for try_it in [
        json!({ "DialTcp": host.local_addr().unwrap() }),
        json!({ "DialUnix": path }),
        json!("ListenTcp"),
    ] {
        let outcome = in_lane(json!({ "write": [folder.path()] }), try_it.clone()).outcome();
        assert_eq!(outcome, refused("EPERM"), "{try_it}");
    }
}

#[test]
fn a_service_that_dials_reaches_hosts() {
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let dial = json!({ "DialTcp": host.local_addr().unwrap() });
    assert_eq!(in_lane(json!({ "dial": true }), dial).outcome(), done());
}

#[test]
fn a_service_that_dials_reaches_no_local_socket_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus");
    let _bus = UnixListener::bind(&path).unwrap();
    let lane = json!({ "dial": true, "write": [folder.path()] });
    assert_eq!(in_lane(lane, json!({ "DialUnix": path })).outcome(), refused("EPERM"));
}

#[test]
fn a_service_that_dials_does_not_listen() {
    assert_eq!(in_lane(json!({ "dial": true }), json!("ListenTcp")).outcome(), refused("EPERM"));
}

#[test]
fn memory_of_processes_is_out_of_reach() {
    assert_eq!(deed(json!("LookIntoMemory")).outcome(), refused("EPERM"));
}

/// Calls made by number, as a hijacked process would; perl makes them without a line of unsafe.
#[test]
fn calls_that_lead_around_the_barriers_are_refused() {
    let user_namespace = libc::CLONE_NEWUSER.to_string();
    let mut calls = vec![
        ("ptrace", libc::SYS_ptrace, "0", libc::EPERM),
        ("pidfd_getfd", libc::SYS_pidfd_getfd, "-1,0,0", libc::EPERM),
        ("io_uring_setup", libc::SYS_io_uring_setup, "0,0", libc::EPERM),
        ("keyctl", libc::SYS_keyctl, "0,-5,0", libc::EPERM),
        ("fsopen", libc::SYS_fsopen, "0,0", libc::EPERM),
        ("unshare", libc::SYS_unshare, "0", libc::EPERM),
        ("clone into a user namespace", libc::SYS_clone, &user_namespace, libc::EPERM),
        ("clone3", libc::SYS_clone3, "0,0", libc::ENOSYS),
        ("socket of netlink", libc::SYS_socket, "16,3,0", libc::EPERM),
    ];
    if cfg!(target_arch = "x86_64") {
        // arch/x86/entry/syscalls/syscall_64.tbl: x32 has numbers of its own for these.
        calls.push(("execve of x32", 0x4000_0000 + 520, "0,0,0", libc::EPERM));
        calls.push(("ptrace of x32", 0x4000_0000 + 521, "0", libc::EPERM));
        calls.push(("keyctl of x32", 0x4000_0000 + libc::SYS_keyctl, "0,-5,0", libc::EPERM));
    }
    for (name, number, arguments, answer) in calls {
        let script = format!("syscall({number},{arguments}) == -1 ? print(0+$!) : print('went')");
        let run = json!({ "Execute": ["/usr/bin/perl", "-e", script] });
        let lane = json!({ "execute": PROGRAMS, "read": ["/dev/null"], "dial": true });
        let outcome = in_lane(lane, run).outcome();
        assert_eq!(outcome, json!({ "Done": answer.to_string() }), "{name}");
    }
}

#[test]
fn a_service_that_names_its_calls_has_no_other() {
    let deed = json!("NameTheSystem");
    assert_eq!(in_lane(json!({ "few_calls": true }), deed.clone()).outcome(), refused("ENOSYS"));
    assert_eq!(in_lane(json!({}), deed).outcome(), done());
}

#[test]
fn a_second_thread_would_stay_free_and_stops_the_service() {
    let mut started = deed(json!("StartThread")).start();
    assert!(!started.is_ready());
    let (status, log) = started.end();
    assert_eq!(status.code(), Some(4));
    assert!(log.contains("confine a process of 2 threads"), "{log}");
}

#[test]
fn ready_is_said_after_confinement() {
    let filters = |pid: &str| {
        number(&fs::read_to_string(format!("/proc/{pid}/status")).unwrap(), "Seccomp_filters")
    };
    // The lane takes its time, so a byte that came first would find no filter yet.
    let mut started = deed(json!("DawdleBeforeConfinement")).start();
    assert!(started.is_ready());
    assert!(filters(&started.pid().to_string()) > filters("self"));
}

//! The kernel's edge, on real processes: descriptors, signals, detached starts.
//!
//! A test that changes its whole process runs itself anew in a process of its own.

#![allow(clippy::unwrap_used, reason = "every function here is part of a test")]

use std::fs::{self, File};
use std::io::{Read, Write, pipe};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, RawFd};
use std::path::Path;
use std::process::{Command, Stdio};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::SigSet;
use terok_shared::sys::{descriptors, detach, signals};

/// Set in the process that a test started of itself.
const ALONE: &str = "TEROK_TEST_ALONE";

fn alone() -> bool {
    std::env::var_os(ALONE).is_some()
}

/// Runs the test `name` again, as a child of `starter`, and expects it to pass there.
fn again(name: &str, starter: &[&str]) {
    let mut words: Vec<_> = starter.iter().map(Into::into).collect();
    words.push(std::env::current_exe().unwrap().into_os_string());
    words.extend(["--exact", name, "--nocapture"].map(Into::into));
    let ran = Command::new(&words[0]).args(&words[1..]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains("1 passed"), "no test of this name: {said}");
}

fn is_open(number: RawFd) -> bool {
    fs::symlink_metadata(format!("/proc/self/fd/{number}")).is_ok()
}

#[test]
fn close_from_closes_all_from_there_on_and_nothing_below() {
    if !alone() {
        return again("close_from_closes_all_from_there_on_and_nothing_below", &[]);
    }
    for file in descriptors::reserve_up_to(30).unwrap() {
        // Nobody may own what is about to be closed.
        let _ = file.into_raw_fd();
    }
    assert!((0..=30).all(is_open));
    descriptors::close_from(20).unwrap();
    for number in 0..=30 {
        assert_eq!(is_open(number), number < 20, "{number}");
    }
}

#[test]
fn close_from_refuses_a_negative_number() {
    assert!(descriptors::close_from(-1).is_err());
}

#[test]
fn a_taken_descriptor_is_ours_and_goes_no_further() {
    let (_folder, path) = file_of("content");
    let file = File::open(path).unwrap();
    fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    let number = file.into_raw_fd();
    let taken = descriptors::take(number).unwrap();
    assert_eq!(taken.as_raw_fd(), number);
    assert_eq!(fcntl(&taken, FcntlArg::F_GETFD).unwrap(), FdFlag::FD_CLOEXEC.bits());
    assert_eq!(std::io::read_to_string(File::from(taken)).unwrap(), "content");
}

#[test]
fn nothing_is_taken_from_an_empty_place() {
    let refused = descriptors::take(1_000_000).unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EBADF));
}

#[test]
fn reserved_numbers_are_given_to_nobody_until_dropped() {
    if !alone() {
        return again("reserved_numbers_are_given_to_nobody_until_dropped", &[]);
    }
    let reserved = descriptors::reserve_up_to(12).unwrap();
    assert!((3..=12).all(is_open));
    assert!(File::open("/dev/null").unwrap().as_raw_fd() > 12);
    let lowest = reserved.iter().map(AsRawFd::as_raw_fd).min().unwrap();
    drop(reserved);
    assert_eq!(File::open("/dev/null").unwrap().as_raw_fd(), lowest);
}

#[test]
fn reset_unblocks_every_signal() {
    if !alone() {
        return again("reset_unblocks_every_signal", &[]);
    }
    SigSet::all().thread_block().unwrap();
    assert_ne!(mask("SigBlk"), 0);
    signals::reset().unwrap();
    assert_eq!(mask("SigBlk"), 0);
}

#[test]
fn reset_restores_what_the_starter_ignored_and_keeps_the_broken_pipe_ignored() {
    let name = "reset_restores_what_the_starter_ignored_and_keeps_the_broken_pipe_ignored";
    if !alone() {
        let starter = "trap '' TERM HUP INT USR1 RTMIN; exec \"$@\"";
        return again(name, &["/bin/bash", "-c", starter, "bash"]);
    }
    let bit = |signal: i32| 1_u64 << (signal - 1);
    let ours = !(bit(32) | bit(33)); // the C library's own (nptl(7))
    assert_ne!(mask("SigIgn") & bit(libc::SIGTERM), 0, "the start is not dirty");
    signals::reset().unwrap();
    assert_eq!(mask("SigIgn") & ours, bit(libc::SIGPIPE));
    assert_eq!(mask("SigCgt") & ours, 0);
}

#[test]
fn a_detached_process_leads_a_session_of_its_own() {
    let stat = "read -r stat < /proc/self/stat; echo $stat > \"$1\"";
    let (_folder, path) = file_of("");
    let mut child = detached(&["/bin/sh", "-c", stat, "sh", path.to_str().unwrap()], 3);
    assert!(child.wait().unwrap().success());
    let stat = fs::read_to_string(path).unwrap();
    let session = stat.split(' ').nth(5).unwrap(); // proc_pid_stat(5)
    assert_eq!(session, child.id().to_string());
}

#[test]
fn a_detached_process_has_the_handed_descriptor_and_no_other() {
    if !alone() {
        return again("a_detached_process_has_the_handed_descriptor_and_no_other", &[]);
    }
    // Descriptors that an exec would keep, below and above the handed one.
    let (_folder, path) = file_of("");
    let strays: Vec<File> = (0..20).map(|_| File::open(&path).unwrap()).collect();
    for stray in &strays {
        fcntl(stray, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
    }
    let (_other, answer) = file_of("");
    let list = "ls -l /proc/$$/fd > \"$1\"";
    let words = ["/bin/sh", "-c", list, "sh", answer.to_str().unwrap()];
    for number in [3, 7] {
        assert!(detached(&words, number).wait().unwrap().success());
        let open = fs::read_to_string(&answer).unwrap();
        assert!(open.contains(&format!(" {number} -> pipe:")), "{open}");
        assert!(!open.contains(path.to_str().unwrap()), "{open}");
    }
}

#[test]
fn a_handed_descriptor_may_be_on_its_number_already() {
    let (mut reader, writer) = pipe().unwrap();
    let number = writer.as_raw_fd();
    let mut command = Command::new("/bin/bash");
    command.args(["-c", &format!("echo -n here >&{number}")]).stdin(Stdio::null());
    let mut child = detach::spawn(command, writer.as_fd(), number).unwrap();
    drop(writer);
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    assert_eq!(said, "here");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_program_that_cannot_be_executed_is_an_error_here() {
    let (_reader, writer) = pipe().unwrap();
    let reserved = descriptors::reserve_up_to(3).unwrap();
    let refused = detach::spawn(Command::new("/nowhere"), writer.as_fd(), 3).unwrap_err();
    drop(reserved);
    assert_eq!(refused.kind(), std::io::ErrorKind::NotFound);
}

fn detached(words: &[&str], number: RawFd) -> std::process::Child {
    let (_reader, writer) = pipe().unwrap();
    let reserved = descriptors::reserve_up_to(number).unwrap();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null());
    let child = detach::spawn(command, writer.as_fd(), number).unwrap();
    drop(reserved);
    child
}

fn file_of(content: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    File::create(&path).unwrap().write_all(content.as_bytes()).unwrap();
    (folder, path)
}

/// A mask of the calling thread (proc_pid_status(5)).
fn mask(field: &str) -> u64 {
    let status = fs::read_to_string(Path::new("/proc/thread-self/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
    u64::from_str_radix(line.unwrap(), 16).unwrap()
}

//! Who outlives whom: clients, backends and the gate, each taken away in the middle.

#![allow(clippy::unwrap_used)] // a broken expectation ends the test

mod gate;

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::{Duration, Instant};

use gate::{World, begin, begin_push, eventually, pkt};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

const SOON: Duration = Duration::from_secs(1);

/// A world whose `main` takes many pipes' worth of bytes to send.
fn filled() -> (World, String) {
    let world = World::new();
    let tree = world.work_tree("a", 20 << 20);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    let tip = world.in_mirror(&["rev-parse", "main"]);
    (world, tip)
}

/// Asks for everything and reads nothing.
fn begin_fetch(world: &World, tip: &str) -> TcpStream {
    let body = format!("0032want {tip}\n00000009done\n");
    let stream = begin(
        world,
        "upload-pack",
        format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes(),
    );
    eventually("a backend runs", SOON, || !world.backends().is_empty());
    stream
}

fn leftovers(mirror: &Path) -> Vec<String> {
    let names = |directory: &str| {
        let entries = fs::read_dir(mirror.join(directory)).unwrap().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    let all = [names("objects"), names("objects/pack")].concat();
    all.into_iter().filter(|name| name.starts_with("tmp") || name.starts_with("incoming")).collect()
}

#[test]
fn a_client_that_leaves_during_a_fetch_takes_its_backend_along() {
    let (world, tip) = filled();
    drop(begin_fetch(&world, &tip));
    eventually("no backend is left", SOON, || world.backends().is_empty());
}

#[test]
fn a_client_that_leaves_during_a_push_takes_its_backend_along_and_leaves_no_trace() {
    let world = World::new();
    let push = begin_push(&world, "x");
    eventually("a backend runs", SOON, || !world.backends().is_empty());
    eventually("objects arrive", SOON, || !leftovers(&world.mirror()).is_empty());
    drop(push);
    eventually("no backend is left", SOON, || world.backends().is_empty());
    assert_eq!(leftovers(&world.mirror()), Vec::<String>::new());
    assert_eq!(world.in_mirror(&["for-each-ref"]), "");
}

#[test]
fn a_git_push_that_is_killed_changes_nothing() {
    let world = World::new();
    let tree = world.work_tree("a", 50 << 20);
    let mut push = world.git_command(&tree, &["push", "-q", "origin", "main"]);
    let mut push = push.process_group(0).spawn().unwrap();
    eventually("objects arrive", Duration::from_secs(20), || {
        !leftovers(&world.mirror()).is_empty()
    });
    killpg(Pid::from_raw(push.id() as i32), Signal::SIGKILL).unwrap();
    push.wait().unwrap();
    eventually("no backend is left", Duration::from_secs(5), || world.backends().is_empty());
    assert_eq!(world.in_mirror(&["for-each-ref"]), "");
    world.in_mirror(&["fsck", "--full"]);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
}

#[test]
fn a_push_whose_client_leaves_at_the_end_is_whole_or_absent() {
    let world = World::new();
    let tree = world.work_tree("a", 10);
    for round in 0..25_u64 {
        let name = format!("b{round}");
        world.git_ok(&tree, &["push", "-q", "origin", &format!("main:{name}")]);
        let tip = world.in_mirror(&["rev-parse", &name]);
        let command = format!("{tip} {} refs/heads/{name}\0report-status\n", "0".repeat(40));
        let body = format!("{}0000", pkt(&command));
        let length = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        let push = begin(&world, "receive-pack", length.as_bytes());
        std::thread::sleep(Duration::from_micros(round * 640));
        drop(push);
        // What git has received whole it may finish, however long that takes.
        eventually("git has ended", 10 * SOON, || world.backends().is_empty());
        let there = !world.in_mirror(&["for-each-ref", &format!("refs/heads/{name}")]).is_empty();
        let backups = format!("refs/terok/backup/{name}/");
        let saved = !world.in_mirror(&["for-each-ref", &backups]).is_empty();
        // A backup is made before the branch goes, so both is possible and neither is not.
        assert!(there || saved, "round {round}: lost");
    }
}

#[test]
fn no_backend_survives_a_killed_gate() {
    let (mut world, tip) = filled();
    let _fetch = begin_fetch(&world, &tip);
    let _push = begin_push(&world, "x");
    eventually("both run", SOON, || leaders(&world).len() == 2);
    world.signal(Signal::SIGKILL);
    world.ended();
    eventually("no backend is left", Duration::from_secs(2), || world.backends().is_empty());
}

#[test]
fn a_gate_told_to_stop_ends_its_backends() {
    let (mut world, tip) = filled();
    let _fetch = begin_fetch(&world, &tip);
    let _push = begin_push(&world, "x");
    eventually("both run", SOON, || leaders(&world).len() == 2);
    world.signal(Signal::SIGTERM);
    assert_eq!(world.ended().code(), Some(0));
    eventually("no backend is left", SOON, || world.backends().is_empty());
}

#[test]
fn a_killed_backend_is_an_answer_that_is_visibly_not_whole() {
    let (world, tip) = filled();
    let mut fetch = begin_fetch(&world, &tip);
    let mut answer = vec![0; "HTTP/1.1 200".len()];
    fetch.read_exact(&mut answer).unwrap();
    assert_eq!(answer, b"HTTP/1.1 200");
    for pid in world.backends() {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let _ = fetch.read_to_end(&mut answer);
    assert!(!answer.ends_with(b"\r\n0\r\n\r\n"), "the last chunk was sent");
    // The gate itself is none the worse.
    world.git_ok(world.root(), &["ls-remote", &world.url()]);
}

#[test]
fn what_a_killed_leader_leaves_behind_keeps_no_client_waiting() {
    let (world, tip) = filled();
    for begin in
        [&|world: &World| begin_push(world, "x"), &|world: &World| begin_fetch(world, &tip)]
            as [&dyn Fn(&World) -> TcpStream; 2]
    {
        let mut client = begin(&world);
        eventually("the leader has started git", SOON, || world.backends().len() > 1);
        let leader = leaders(&world)[0];
        // Deaf to everything but SIGKILL, with git's pipes in its hands.
        for pid in world.backends().into_iter().filter(|pid| *pid != leader) {
            kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
        }
        kill(Pid::from_raw(leader), Signal::SIGKILL).unwrap();
        let start = Instant::now();
        let mut answer = Vec::new();
        let _ = client.read_to_end(&mut answer);
        assert!(start.elapsed() < 2 * SOON, "answered after {:?}", start.elapsed());
        assert!(!answer.ends_with(b"\r\n0\r\n\r\n"), "the last chunk was sent");
        eventually("no backend is left", SOON, || world.backends().is_empty());
    }
    world.git_ok(world.root(), &["ls-remote", &world.url()]);
}

fn leaders(world: &World) -> Vec<i32> {
    let is_leader = |pid: &i32| {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        command.split(|&b| b == 0).next().is_some_and(|name| name.ends_with(b"git-http-backend"))
    };
    world.backends().into_iter().filter(is_leader).collect()
}

#[test]
fn half_sent_pushes_do_not_multiply_backends() {
    let world = World::new();
    let pushes: Vec<_> = (0..40).map(|n| begin_push(&world, &format!("b{n}"))).collect();
    eventually("the bound is reached", Duration::from_secs(5), || leaders(&world).len() == 16);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(leaders(&world).len(), 16);
    drop(pushes);
    eventually("no backend is left", Duration::from_secs(5), || world.backends().is_empty());
    world.git_ok(world.root(), &["ls-remote", &world.url()]);
}

#[test]
fn requests_past_the_bound_wait_their_turn() {
    let world = World::new();
    let tree = world.work_tree("a", 1000);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    let clones: Vec<_> = (0..24)
        .map(|n| {
            let (url, copy) = (world.url(), format!("copy{n}"));
            world.git_command(world.root(), &["clone", "-q", &url, &copy]).spawn().unwrap()
        })
        .collect();
    for mut clone in clones {
        assert!(clone.wait().unwrap().success());
    }
}

#[test]
fn idle_connections_start_no_backend() {
    let world = World::new();
    let connections: Vec<_> = (0..100).map(|_| world.connect()).collect();
    world.git_ok(world.root(), &["ls-remote", &world.url()]);
    assert!(world.backends().is_empty());
    let memory = world.status_kib("VmRSS:");
    assert!(memory < 16 * 1024, "{memory} KiB for {} connections", connections.len());
}

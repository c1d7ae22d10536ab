//! Who gets in, and what the others are told.

#![allow(clippy::unwrap_used)] // a broken expectation ends the test

mod gate;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::Duration;

use gate::{PROJECT, Plan, TOKEN, World, authorization, eventually};

const REFS: &str = "info/refs?service=git-upload-pack";

fn status(world: &World, method: &str, path: &str, headers: &str) -> (u16, String) {
    let answer = world.raw(&format!(
        "{method} {path} HTTP/1.1\r\nHost: gate\r\nConnection: close\r\n{headers}\r\n"
    ));
    let code: Option<u16> = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    (code.unwrap_or_else(|| panic!("no status: {answer}")), answer)
}

#[test]
fn requests_are_answered_by_path_method_token_and_repository() {
    let world = World::new();
    let right = authorization(TOKEN);
    let wrong = authorization("terok-g-ffffffffffffffffffffffffffffffff");
    for (expected, method, path, headers) in [
        (200, "GET", format!("/web.git/{REFS}"), &right),
        (200, "GET", "/web.git/info/refs?service=git-receive-pack".to_owned(), &right),
        (200, "GET", "/web.git/HEAD".to_owned(), &right),
        (200, "HEAD", "/web.git/HEAD".to_owned(), &right),
        (200, "HEAD", format!("/web.git/{REFS}"), &right),
        (401, "GET", format!("/web.git/{REFS}"), &String::new()),
        (401, "GET", format!("/other.git/{REFS}"), &String::new()),
        (401, "GET", format!("/web.git/{REFS}"), &"Authorization: Bearer x\r\n".to_owned()),
        (403, "GET", format!("/web.git/{REFS}"), &wrong),
        (403, "GET", format!("/other.git/{REFS}"), &wrong),
        (403, "GET", format!("/other.git/{REFS}"), &right),
        (404, "GET", "/web.git/config".to_owned(), &right),
        (404, "GET", "/web.git/info/refs".to_owned(), &right),
        (404, "GET", "/web.git/objects/info/packs".to_owned(), &right),
        (404, "GET", "/web.git/../web.git/HEAD".to_owned(), &right),
        (404, "GET", "/".to_owned(), &String::new()),
        (405, "GET", "/web.git/git-upload-pack".to_owned(), &right),
        (405, "DELETE", format!("/web.git/{REFS}"), &right),
        (415, "POST", "/web.git/git-upload-pack".to_owned(), &right),
    ] {
        let (code, answer) = status(&world, method, &path, headers);
        assert_eq!(code, expected, "{method} {path}: {answer}\n{}", world.said());
    }
}

#[test]
fn a_401_names_the_realm_and_a_head_answer_has_no_body() {
    let world = World::new();
    let (_, answer) = status(&world, "GET", &format!("/web.git/{REFS}"), "");
    assert!(answer.to_lowercase().contains("www-authenticate: basic realm=\"terok gate\""));
    let (_, answer) = status(&world, "HEAD", "/web.git/HEAD", &authorization(TOKEN));
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn a_connection_is_used_again() {
    let world = World::new();
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    let mut stream = world.connect();
    for _ in 0..3 {
        let request =
            format!("GET /web.git/HEAD HTTP/1.1\r\nHost: g\r\n{}\r\n", authorization(TOKEN));
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"ref: refs/heads/main\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}

#[test]
fn a_client_that_expects_100_gets_it() {
    let world = World::new();
    let mut stream = world.connect();
    let request = format!(
        "POST /web.git/git-upload-pack HTTP/1.1\r\nHost: g\r\n{}Connection: close\r\n\
         Content-Type: application/x-git-upload-pack-request\r\nContent-Length: 4\r\n\
         Expect: 100-continue\r\n\r\n",
        authorization(TOKEN)
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut first = [0; 25];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");
    assert!(world.backends().is_empty(), "no process before the body");
    stream.write_all(b"0000").unwrap();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).unwrap();
    assert!(rest.starts_with("HTTP/1.1 200"), "{rest}");
}

/// Takes the 30 s that a client has.
#[test]
fn a_client_that_never_ends_its_head_is_shut_out() {
    let world = World::new();
    let mut slow = world.connect();
    slow.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    slow.write_all(b"GET /web.git/HEAD HTTP/1.1\r\nHost: g\r\n").unwrap();
    let start = std::time::Instant::now();
    let mut answer = Vec::new();
    let _ = slow.read_to_end(&mut answer);
    let waited = start.elapsed();
    assert!(waited > Duration::from_secs(25) && waited < Duration::from_secs(35), "{waited:?}");
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
}

#[test]
fn git_is_told_what_is_wrong() {
    let world = World::new();
    for (url, says) in [
        (world.url_of("terok-g-wrong", PROJECT), "403"),
        (world.url_of(TOKEN, "other"), "403"),
        (world.url().replace("/web.git", "/web"), "not found"),
    ] {
        let refused = world.git(world.root(), &["ls-remote", &url]);
        assert!(!refused.status.success());
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(why.contains(says), "{url}: {why}");
    }
}

#[test]
fn without_a_mirror_it_answers_404_and_starts_anew_when_there_is_one() {
    let mut world = World::planned(&Plan { mirror: None, ..Plan::default() });
    let (code, _) = status(&world, "GET", &format!("/web.git/{REFS}"), &authorization(TOKEN));
    assert_eq!(code, 404);
    world.make_mirror(&[]);
    assert_eq!(world.succeeded(), 200);
}

#[test]
fn a_mirror_made_anew_starts_the_gate_anew() {
    let mut world = World::new();
    world.git_ok(world.root(), &["ls-remote", &world.url()]);
    std::fs::rename(world.mirror(), world.root().join("old.git")).unwrap();
    world.make_mirror(&[]);
    assert_eq!(world.succeeded(), 200);
}

#[test]
fn a_client_that_is_inside_already_is_told_and_the_gate_starts_anew() {
    let mut world = World::new();
    let mut client = world.connect();
    client.write_all(&gate::refs_request(false)).unwrap();
    // The end of its body is the end of the backend.
    eventually("the backend has ended", Duration::from_secs(5), || {
        world.said().contains("git ended with")
    });
    client.set_nonblocking(true).unwrap();
    let mut answer = [0; 64 * 1024];
    let length = client.read(&mut answer).unwrap();
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
    client.set_nonblocking(false).unwrap();
    std::fs::rename(world.mirror(), world.root().join("old.git")).unwrap();
    world.make_mirror(&[]);
    client.write_all(&gate::refs_request(false)).unwrap();
    assert_eq!(gate::status_of(&mut client), 503);
    assert_eq!(world.ended().code(), Some(0), "{}", world.said());
}

#[test]
fn a_replaced_program_starts_the_gate_anew() {
    let mut world = World::new();
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    // An upgrade puts the new file in the old one's place.
    let fresh = world.root().join("fresh");
    std::fs::copy(gate::PROGRAM, &fresh).unwrap();
    std::fs::rename(fresh, &world.program).unwrap();
    assert_eq!(world.succeeded(), 200);
    world.commit(&tree, "more", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
}

#[test]
fn a_git_that_gives_no_answer_is_a_502() {
    let fake = tempfile::tempdir().unwrap();
    let git = fake.path().join("git");
    std::fs::write(&git, format!("#!/bin/sh\necho {}\n", fake.path().display())).unwrap();
    std::fs::set_permissions(&git, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::copy("/bin/true", fake.path().join("git-http-backend")).unwrap();
    let world = World::planned(&Plan { path: fake.path().to_str().unwrap(), ..Plan::default() });
    let (code, _) = status(&world, "GET", &format!("/web.git/{REFS}"), &authorization(TOKEN));
    assert_eq!(code, 502);
    assert!(world.said().contains("ended without an answer"), "{}", world.said());
}

#[test]
fn the_directory_of_mirrors_may_be_a_symbolic_link() {
    let mut world = World::new();
    let real = world.root().join("elsewhere");
    std::fs::rename(world.base(), &real).unwrap();
    symlink(&real, world.base()).unwrap();
    world.signal(nix::sys::signal::Signal::SIGKILL);
    world.ended();
    world.start("/usr/bin:/bin");
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
}

#[test]
fn without_git_it_ends_with_4_and_says_how_to_install_it() {
    let root = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let log = root.path().join("log");
    let (mut gate, ready) =
        gate::spawn(&gate::own_program(root.path()), root.path(), &listener, "/nowhere", None);
    let mut said = Vec::new();
    std::fs::File::from(ready).read_to_end(&mut said).unwrap();
    assert_eq!(said, b"");
    eventually("the gate ends", Duration::from_secs(5), || gate.try_wait().unwrap().is_some());
    assert_eq!(gate.wait().unwrap().code(), Some(4));
    let why = std::fs::read_to_string(log).unwrap();
    assert!(
        why.contains("look for git: none in /nowhere") && why.contains("hint: install"),
        "{why}"
    );
}

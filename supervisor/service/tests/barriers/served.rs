//! Clients of a service: drained at its end, bounded in number, safe in the queue meanwhile.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tempfile::TempDir;

use crate::start::{Start, Started, deed};

/// Far more than the 100 ms of grace, for a machine busy with other things.
const PROMPT: Duration = Duration::from_millis(1000);

/// The socket as the parent holds it.
struct Door {
    _folder: TempDir,
    path: PathBuf,
    listener: UnixListener,
}

impl Door {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        Self { listener: UnixListener::bind(&path).unwrap(), path, _folder: folder }
    }

    fn socket(&self) -> OwnedFd {
        self.listener.as_fd().try_clone_to_owned().unwrap()
    }

    fn serve(&self, limit: usize) -> Started {
        let mut started = serving(limit).listening_on(self.socket()).start();
        assert!(started.is_ready());
        started
    }

    fn client(&self) -> Client {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Client(BufReader::new(stream))
    }
}

fn serving(limit: usize) -> Start {
    deed(json!({ "Serve": { "limit": limit } }))
}

struct Client(BufReader<UnixStream>);

impl Client {
    fn say(&self, word: &str) {
        writeln!(self.0.get_ref(), "{word}").unwrap();
    }

    /// The next line; empty when the service closed.
    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn ask(&mut self, word: &str) -> String {
        self.say(word);
        self.hear()
    }

    fn is_left_waiting(&mut self) -> bool {
        self.0.get_ref().set_read_timeout(Some(Duration::from_millis(150))).unwrap();
        let heard = self.0.read_line(&mut String::new());
        self.0.get_ref().set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        heard.is_err_and(|why| why.kind() == ErrorKind::WouldBlock)
    }
}

fn terminate(started: &Started) -> Instant {
    kill(Pid::from_raw(started.pid()), Signal::SIGTERM).unwrap();
    Instant::now()
}

#[test]
fn work_in_flight_is_finished_and_idle_clients_are_closed_at_the_end() {
    let door = Door::new();
    let mut service = door.serve(8);
    let (mut busy, mut idle) = (door.client(), door.client());
    assert_eq!(idle.ask("ping"), "pong");
    assert_eq!(busy.ask("slow"), "begun");
    let told = terminate(&service);
    assert_eq!((idle.hear(), idle.hear()), ("bye".into(), String::new()));
    assert_eq!(busy.hear(), "done");
    assert_eq!((busy.hear(), busy.hear()), ("bye".into(), String::new()));
    let (status, log) = service.end();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(told.elapsed() < PROMPT, "{:?}", told.elapsed());
}

#[test]
fn an_idle_service_ends_at_once() {
    let door = Door::new();
    let mut service = door.serve(8);
    assert_eq!(door.client().ask("ping"), "pong");
    let told = terminate(&service);
    assert_eq!(service.end().0.code(), Some(0));
    assert!(told.elapsed() < PROMPT, "{:?}", told.elapsed());
}

#[test]
fn a_client_that_takes_forever_does_not_hold_up_the_end() {
    let door = Door::new();
    let mut service = door.serve(8);
    let mut stubborn = door.client();
    assert_eq!(stubborn.ask("stubborn"), "begun");
    let told = terminate(&service);
    assert_eq!(service.end().0.code(), Some(0));
    assert!(told.elapsed() < PROMPT, "{:?}", told.elapsed());
    assert_eq!(stubborn.hear(), "");
}

#[test]
fn a_full_service_still_ends_when_told() {
    let door = Door::new();
    let mut service = door.serve(1);
    let mut only = door.client();
    assert_eq!(only.ask("ping"), "pong");
    let told = terminate(&service);
    assert_eq!(service.end().0.code(), Some(0));
    assert!(told.elapsed() < PROMPT, "{:?}", told.elapsed());
}

#[test]
fn one_client_too_many_waits_in_the_queue_and_is_served_later() {
    let door = Door::new();
    let _service = door.serve(2);
    let (mut first, mut second, mut third) = (door.client(), door.client(), door.client());
    assert_eq!(first.ask("ping"), "pong");
    assert_eq!(second.ask("ping"), "pong");
    third.say("ping");
    assert!(third.is_left_waiting());
    drop(first);
    assert_eq!(third.hear(), "pong");
}

#[test]
fn a_panic_over_one_client_costs_only_that_client() {
    let door = Door::new();
    let _service = door.serve(1);
    let mut fatal = door.client();
    fatal.say("panic");
    assert_eq!(fatal.hear(), "");
    assert_eq!(door.client().ask("ping"), "pong", "its place is free again");
}

#[test]
fn a_client_waiting_through_a_crash_is_served_by_the_successor() {
    let door = Door::new();
    let mut first = door.serve(1);
    let mut served = door.client();
    assert_eq!(served.ask("ping"), "pong");
    let mut waiting = door.client();
    waiting.say("ping");
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let mut between = door.client();
    let _second = door.serve(2);
    assert_eq!(waiting.hear(), "pong");
    assert_eq!(between.ask("ping"), "pong");
}

#[test]
fn a_tcp_listener_is_served_as_well() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut service = serving(2).listening_on(listener).start();
    assert!(service.is_ready());
    let mut client = BufReader::new(std::net::TcpStream::connect(address).unwrap());
    client.get_ref().write_all(b"ping\n").unwrap();
    let mut line = String::new();
    client.read_line(&mut line).unwrap();
    assert_eq!(line, "pong\n");
}

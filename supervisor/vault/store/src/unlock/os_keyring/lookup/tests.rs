//! The calls against a bus of the test's own, which admits whom the kernel names and answers as it
//! is told.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread::JoinHandle;
use std::time::Instant;

use super::super::marshal::ByteOrder;
use super::*;

/// What the fake service says to one method.
enum Says {
    Body(Writer),
    Error(&'static str),
    Silence,
}

struct Desk {
    directory: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn bus(&self) -> PathBuf {
        self.directory.path().join("bus")
    }

    /// Serves one client; gives back the members it called.
    fn serve(&self, says: impl Fn(&str) -> Says + Send + 'static) -> JoinHandle<Vec<String>> {
        let listener = UnixListener::bind(self.bus()).unwrap();
        std::thread::spawn(move || {
            let mut peer = BufReader::new(listener.accept().unwrap().0);
            admit(&mut peer);
            let mut called = Vec::new();
            while let Some((member, serial, no_auto_start)) = read_call(&mut peer) {
                assert!(no_auto_start, "{member} would start a service");
                answer(peer.get_mut(), serial, says(&member));
                called.push(member);
            }
            called
        })
    }

    fn find(&self) -> Result<String, String> {
        find_within(Duration::from_millis(500), &[self.bus()])
            .map(|passphrase| passphrase.expose().clone())
            .map_err(|why| why.to_string())
    }
}

fn admit(peer: &mut BufReader<UnixStream>) {
    for (line, reply) in [("\0AUTH EXTERNAL", "DATA\r\n"), ("DATA", "OK 1234\r\n"), ("BEGIN", "")] {
        let mut read = String::new();
        peer.read_line(&mut read).unwrap();
        assert_eq!(read.trim_end_matches("\r\n"), line);
        peer.get_mut().write_all(reply.as_bytes()).unwrap();
    }
}

/// `(member, serial, no auto start)` of the next call.
fn read_call(peer: &mut impl Read) -> Option<(String, u32, bool)> {
    let mut fixed = [0; 16];
    peer.read_exact(&mut fixed).ok()?;
    let number = |at: usize| u32::from_le_bytes(fixed[at..at + 4].try_into().unwrap());
    let fields = number(12) as usize;
    let mut rest = vec![0; fields.next_multiple_of(8) + number(4) as usize];
    peer.read_exact(&mut rest).unwrap();
    let mut reader = Reader::new(&rest, ByteOrder::Little);
    let mut member = String::new();
    while reader.place() < fields {
        reader.align(8).unwrap();
        let code = reader.byte().unwrap();
        match reader.signature().unwrap() {
            "g" => drop(reader.signature().unwrap()),
            _ if code == 3 => member = reader.string().unwrap().to_owned(),
            _ => drop(reader.string().unwrap()),
        }
    }
    Some((member, number(8), fixed[2] & 2 != 0))
}

fn answer(peer: &mut UnixStream, serial: u32, says: Says) {
    // A signal first: callers must pass it over.
    for (kind, reply_to, error, body) in [
        (4, 0, None, Some(Writer::default())),
        match says {
            Says::Body(body) => (2, serial, None, Some(body)),
            Says::Error(name) => (3, serial, Some(name), Some(Writer::default())),
            Says::Silence => (2, serial, None, None),
        },
    ] {
        let Some(body) = body else { return };
        let mut message = Writer::default();
        for byte in [b'l', kind, 1, 1] {
            message.byte(byte);
        }
        message.number(body.bytes().len() as u32);
        message.number(77);
        message.array(8, |fields| {
            fields.byte(5);
            fields.signature("u");
            fields.number(reply_to);
            if let Some(name) = error {
                fields.align(8);
                fields.byte(4);
                fields.signature("s");
                fields.string(name);
            }
        });
        message.align(8);
        message.raw(body.bytes());
        peer.write_all(message.bytes()).unwrap();
    }
}

fn items(unlocked: &[&str], locked: &[&str]) -> Says {
    let mut body = Writer::default();
    for paths in [unlocked, locked] {
        body.array(4, |elements| paths.iter().for_each(|path| elements.string(path)));
    }
    Says::Body(body)
}

fn session() -> Says {
    let mut body = Writer::default();
    body.signature("s");
    body.string("");
    body.string("/org/freedesktop/secrets/session/1");
    Says::Body(body)
}

fn secret(text: &'static str) -> Says {
    let mut body = Writer::default();
    body.string("/org/freedesktop/secrets/session/1");
    body.array(1, |_| {});
    body.array(1, |bytes| bytes.raw(text.as_bytes()));
    body.string("text/plain");
    Says::Body(body)
}

fn name() -> Says {
    let mut body = Writer::default();
    body.string(":1.7");
    Says::Body(body)
}

#[test]
fn an_unlocked_items_secret_is_the_passphrase() {
    let desk = Desk::new();
    let service = desk.serve(|member| match member {
        "Hello" => name(),
        "SearchItems" => items(&["/item/1", "/item/2"], &[]),
        "OpenSession" => session(),
        _ => secret("pass wörd"),
    });
    assert_eq!(desk.find().unwrap(), "pass wörd");
    assert_eq!(service.join().unwrap(), ["Hello", "SearchItems", "OpenSession", "GetSecret"]);
}

#[test]
fn a_locked_item_is_left_locked() {
    let desk = Desk::new();
    let service = desk.serve(|member| match member {
        "Hello" => name(),
        _ => items(&[], &["/item/1"]),
    });
    assert_eq!(desk.find().unwrap_err(), "its collection is locked");
    assert_eq!(service.join().unwrap(), ["Hello", "SearchItems"]);
}

#[test]
fn a_keyring_without_the_item_or_without_a_service_has_nothing() {
    let desk = Desk::new();
    let service = desk.serve(|member| if member == "Hello" { name() } else { items(&[], &[]) });
    assert_eq!(desk.find().unwrap_err(), "no item for this vault");
    service.join().unwrap();

    let desk = Desk::new();
    let service = desk.serve(|member| match member {
        "Hello" => name(),
        _ => Says::Error("org.freedesktop.DBus.Error.ServiceUnknown"),
    });
    assert_eq!(desk.find().unwrap_err(), "refused: org.freedesktop.DBus.Error.ServiceUnknown");
    service.join().unwrap();
    assert_eq!(Desk::new().find().unwrap_err(), "no session bus");
}

#[test]
fn a_silent_keyring_is_given_up() {
    let desk = Desk::new();
    let service = desk.serve(|member| if member == "Hello" { name() } else { Says::Silence });
    let began = Instant::now();
    assert!(desk.find().unwrap_err().starts_with("no answer within"));
    assert!(began.elapsed() < Duration::from_secs(3));
    service.join().unwrap();
}

#[test]
fn an_empty_secret_is_no_passphrase() {
    let desk = Desk::new();
    let service = desk.serve(|member| match member {
        "Hello" => name(),
        "SearchItems" => items(&["/item/1"], &[]),
        "OpenSession" => session(),
        _ => secret(""),
    });
    assert_eq!(desk.find().unwrap_err(), "its item is empty");
    service.join().unwrap();
}

#[test]
fn a_reply_that_is_none_is_refused() {
    let desk = Desk::new();
    let service = desk.serve(|member| match member {
        "Hello" => name(),
        _ => {
            let mut body = Writer::default();
            body.number(u32::MAX);
            Says::Body(body)
        }
    });
    assert_eq!(desk.find().unwrap_err(), "session bus: malformed message");
    service.join().unwrap();
}

#[test]
fn the_bus_is_the_named_one_or_the_one_of_the_session() {
    let directories = [PathBuf::from("/run/user/7/terok/vault-session")];
    let named = OsStr::new("tcp:host=x;unix:guid=1,path=/tmp/bus");
    assert_eq!(
        buses(Some(named), &directories),
        [PathBuf::from("/tmp/bus"), PathBuf::from("/run/user/7/bus")]
    );
    for odd in ["", "unix:abstract=/x", "unix:path=/a%20b", "/tmp/bus"] {
        assert_eq!(buses(Some(OsStr::new(odd)), &directories), [PathBuf::from("/run/user/7/bus")]);
    }
    assert!(buses(None, &[]).is_empty());
}

//! The sealed file with stand-ins for both who can open it: a program, and a varlink server.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::*;

struct Setup {
    directory: tempfile::TempDir,
    file: PathBuf,
}

impl Setup {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("vault.passphrase.cred");
        fs::write(&file, "c2Vh\nbGVk\n").unwrap();
        Self { directory, file }
    }

    fn program(&self, script: &str) -> PathBuf {
        let program = self.directory.path().join("systemd-creds");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        program
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("io.systemd.Credentials")
    }

    /// Takes one call, says `reply`; gives back the call.
    fn systemd(&self, reply: &'static [u8]) -> JoinHandle<String> {
        let listener = UnixListener::bind(self.socket()).unwrap();
        std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut call = Vec::new();
            let mut byte = [0];
            while peer.read(&mut byte).unwrap() == 1 && byte[0] != 0 {
                call.push(byte[0]);
            }
            // In pieces, as a stream may deliver it.
            for piece in reply.chunks(7) {
                let _ = peer.write_all(piece);
            }
            String::from_utf8(call).unwrap()
        })
    }

    fn answer_to(&self, reply: &'static [u8]) -> Answer {
        let systemd = self.systemd(reply);
        let answer = ask_systemd(&self.socket(), 1000, &self.file);
        systemd.join().unwrap();
        answer
    }
}

fn reason(answer: Answer) -> String {
    match answer {
        Answer::Broken(reason) => reason,
        Answer::Nothing(reason) => panic!("nothing: {reason}"),
        Answer::Passphrase(_) => panic!("a passphrase"),
    }
}

#[test]
fn an_absent_file_is_passed_over_by_both() {
    let absent = Path::new("/nonexistent/x.cred");
    assert!(matches!(ask(absent), Answer::Nothing(_)));
    assert!(matches!(ask_systemd(Path::new("/nonexistent"), 7, absent), Answer::Nothing(_)));
}

#[test]
fn a_file_that_cannot_be_decrypted_closes_the_chain() {
    let setup = Setup::new();
    for program in ["/nonexistent/systemd-creds", "/bin/false"] {
        let why = reason(ask_program(OsStr::new(program), &setup.file));
        assert!(why.contains("\nhint: "), "{why}");
    }
}

/// As Debian 12's 252 says it.
#[test]
fn a_systemd_that_is_too_old_is_named() {
    let setup = Setup::new();
    let old =
        "[ \"$1\" = --version ] && { echo 'systemd 252 (252.38-1)'; echo +PAM; exit; }; exit 1";
    let why = reason(ask_program(setup.program(old).as_os_str(), &setup.file));
    assert!(why.contains("of systemd 252, and only systemd 256"), "{why}");
    assert!(why.contains("\nhint: remove the file"), "{why}");
    let new = old.replace("252", "257");
    let why = reason(ask_program(setup.program(&new).as_os_str(), &setup.file));
    assert!(why.contains("\nhint: seal the passphrase again"), "{why}");
}

/// The program of this machine, whatever it can.
#[test]
fn this_machines_own_program_opens_nothing_and_says_why() {
    let setup = Setup::new();
    let why = reason(ask_program(OsStr::new(PROGRAM), &setup.file));
    assert!(why.starts_with("decrypt ") && why.contains("\nhint: "), "{why}");
    assert!(!why.contains("c2Vh"), "{why}");
}

#[test]
fn the_file_is_decrypted_for_this_purpose_alone() {
    let setup = Setup::new();
    let program = setup.program("echo \"$@\"");
    let Answer::Passphrase(printed) = ask_program(program.as_os_str(), &setup.file) else {
        panic!("no passphrase");
    };
    let file = setup.file.display();
    let expected = format!("decrypt --user --name=terok-sandbox.vault-passphrase {file} -");
    assert_eq!(printed.expose(), &expected);
}

#[test]
fn only_root_of_a_rootless_namespace_asks_systemd_itself() {
    let rootless = "         0       1000          1\n         1     100000      65536\n";
    assert_eq!(outer_uid(0, rootless), Some(1000));
    assert_eq!(outer_uid(1000, rootless), None);
    assert_eq!(outer_uid(0, "         0          0 4294967295\n"), None);
    for odd in ["", "x y z", "0", "5 1000 1"] {
        assert_eq!(outer_uid(0, odd), None, "{odd}");
    }
}

#[test]
fn systemd_is_asked_with_the_name_the_blob_and_the_outer_uid() {
    let setup = Setup::new();
    // `pass word\n` in base64.
    let systemd = setup.systemd(b"{\"parameters\":{\"data\":\"cGFzcyB3b3JkCg==\"}}\0trailing");
    let Answer::Passphrase(found) = ask_systemd(&setup.socket(), 1000, &setup.file) else {
        panic!("no passphrase");
    };
    assert_eq!(found.expose(), "pass word");
    let call: serde_json::Value = serde_json::from_str(&systemd.join().unwrap()).unwrap();
    let expected = serde_json::json!({
        "method": "io.systemd.Credentials.Decrypt",
        "parameters": {"name": "terok-sandbox.vault-passphrase", "blob": "c2VhbGVk",
                       "scope": "user", "uid": 1000},
    });
    assert_eq!(call, expected);
}

#[test]
fn a_file_that_is_no_base64_is_encoded() {
    let setup = Setup::new();
    fs::write(&setup.file, b"\x00raw\xff").unwrap();
    let systemd = setup.systemd(b"{\"parameters\":{\"data\":\"cA==\"}}\0");
    assert!(matches!(ask_systemd(&setup.socket(), 1, &setup.file), Answer::Passphrase(_)));
    assert!(systemd.join().unwrap().contains("\"AHJhd/8=\""));
}

#[test]
fn what_systemd_refuses_closes_the_chain_with_its_word_for_it() {
    let why = reason(Setup::new().answer_to(
        b"{\"error\":\"io.systemd.Credentials.NameMismatch\",\"parameters\":{\"data\":\"eA==\"}}\0",
    ));
    assert!(why.contains("answered io.systemd.Credentials.NameMismatch\nhint: "), "{why}");
}

#[test]
fn replies_that_are_none_are_refused() {
    for reply in [
        &b"\0"[..],
        b"not json\0",
        b"{}\0",
        b"{\"parameters\":{}}\0",
        b"{\"parameters\":{\"data\":7}}\0",
        b"{\"parameters\":{\"data\":\"!\"}}\0",
    ] {
        let why = reason(Setup::new().answer_to(reply));
        assert!(why.contains("answered what is no reply"), "{why}");
    }
    let why = reason(Setup::new().answer_to(b"{\"parameters\":{\"data\":\"\"}}\0"));
    assert!(why.contains("decrypted what is empty"), "{why}");
    let why = reason(Setup::new().answer_to(b"{\"parameters\""));
    assert!(why.contains("could not be called"), "{why}");
    let why = reason(Setup::new().answer_to(&[b' '; 70_000]));
    assert!(why.contains("more than 65536 bytes"), "{why}");
}

#[test]
fn a_systemd_that_is_not_there_or_silent_does_not_hold_us_up() {
    let setup = Setup::new();
    let why = reason(ask_systemd(&setup.socket(), 1000, &setup.file));
    assert!(why.contains("could not be called: No such file"), "{why}");
    let _silent = UnixListener::bind(setup.socket()).unwrap();
    let began = Instant::now();
    let limit = Duration::from_millis(200);
    let error = varlink::decrypt_within(limit, &setup.socket(), "n", b"x", 1).unwrap_err();
    assert!(matches!(error, varlink::VarlinkError::TimedOut { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

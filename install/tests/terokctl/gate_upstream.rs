//! Upstreams that ask for a credential: HTTP with Basic authentication, and the same over TLS. A real
//! sshd is `tests/operator/upstream.rs`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::gate::Place;
use crate::machine::{CREDENTIAL, Machine};

/// Serves a repository's files (git's dumb protocol, gitprotocol-http(5)) to whoever knows the
/// credential; the port.
fn serve(repository: PathBuf, authorization: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            answer(stream, &repository, &authorization);
        }
    });
    port
}

fn answer(mut stream: TcpStream, repository: &Path, authorization: &str) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let request = lines.next().unwrap_or_default();
    let head: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let target = request.split(' ').nth(1).unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default().trim_start_matches("/web.git/");
    let (status, body) = if head.iter().any(|line| line == authorization) {
        match fs::read(repository.join(path)) {
            Ok(body) => ("200 OK", body),
            Err(_) => ("404 Not Found", vec![]),
        }
    } else {
        ("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"", vec![])
    };
    let head =
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(&[head.as_bytes(), &body].concat());
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    let both = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Authorization: Basic {both}")
}

/// A git that writes down what it is given and then does it.
fn listening_git(machine: &Machine) {
    let log = machine.text("given");
    machine.program(
        "git",
        &format!("#!/bin/sh\n{{ echo \"$@\"; env; }} >> {log}\nexec /usr/bin/git \"$@\"\n"),
    );
}

/// And the credential is in none of git's arguments, variables and settings.
#[track_caller]
fn the_next_commit_comes_too(place: &Place) {
    let tip = place.commit("second");
    place.git("tree", &["push", "-q", "origin", "trunk"]);
    place.git("upstream.git", &["update-server-info"]);
    place.machine.ok(&["gate", "sync", "web"]);
    assert_eq!(place.in_mirror(&["rev-parse", "trunk"]), tip);
    let given = place.machine.read("given");
    assert!(given.contains("credential-helper") && !given.contains(CREDENTIAL), "{given}");
    assert!(!place.machine.read("state/gate/web.git/config").contains(CREDENTIAL));
}

#[test]
fn the_vaults_credential_opens_an_upstream_and_is_written_nowhere() {
    let place = Place::on(Machine::furnished());
    place.git("upstream.git", &["update-server-info"]);
    let port = serve(place.upstream.clone(), basic("x-access-token", CREDENTIAL));
    listening_git(&place.machine);
    let url = format!("http://127.0.0.1:{port}/web.git");
    let words = ["gate", "init", "web", "--from", &url, "--credential", "github"];
    place.machine.ok(&words);
    assert_eq!(place.in_mirror(&["rev-parse", "trunk"]).len(), 40);
    the_next_commit_comes_too(&place);
    let grep = Command::new("grep")
        .args(["-r", "-l", CREDENTIAL])
        .arg(place.machine.path("state"))
        .status();
    assert!(!grep.unwrap().success(), "the credential is in a file of the state directory");
}

#[test]
fn another_host_gets_no_answer_from_the_helper() {
    let machine = Machine::bare();
    let words = ["gate", "credential-helper", "--for", "https://example.org", "get"];
    let said = machine.with_input(&words, "protocol=https\nhost=evil.example\n\n");
    assert_eq!((said.status, said.out.as_str()), (0, ""));
    let said = machine.with_input(&words, "protocol=http\nhost=example.org\n\n");
    assert_eq!((said.status, said.out.as_str()), (0, ""));
}

#[test]
fn a_missing_or_endangered_credential_is_told_with_what_to_do() {
    let machine = Machine::furnished();
    let init = |url: &str, provider: &str| {
        ["gate", "init", "web", "--from", url, "--credential", provider].map(str::to_owned)
    };
    for (url, provider, with, hint) in [
        ("https://127.0.0.1:1/p", "gitlab", "no credential for gitlab", "vault add gitlab"),
        ("http://example.org/p", "github", "in the clear", "https"),
    ] {
        let words = init(url, provider);
        machine.fails(&words.each_ref().map(String::as_str), with, hint);
    }
    let words = ["gate", "init", "web", "--from", "git@127.0.0.1:p", "--scope", "nobody"];
    machine.fails(&words, "scope nobody has no key", "ssh generate --scope nobody");
}

/// TLS before `port`, with a certificate of its own beside it; or why there is none.
fn tls_before(port: u16, machine: &Machine) -> Result<(Server, u16), &'static str> {
    let (key, certificate) = (machine.text("key.pem"), machine.text("certificate.pem"));
    let arguments = ["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt"];
    let made = Command::new("openssl")
        .args(arguments)
        .args(["ec_paramgen_curve:prime256v1", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-keyout", &key, "-out", &certificate])
        .stderr(Stdio::null())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return Err("openssl is not installed");
    }
    let outside = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen = format!(
        "OPENSSL-LISTEN:{outside},bind=127.0.0.1,reuseaddr,fork,verify=0,cert={certificate},key={key}"
    );
    let relay = Command::new("socat")
        .args([&listen, &format!("TCP:127.0.0.1:{port}")])
        .stderr(Stdio::null())
        .spawn();
    let server = Server(relay.map_err(|_| "socat is not installed")?);
    await_listener(outside);
    Ok((server, outside))
}

#[test]
fn an_https_upstream_gets_the_credential_and_one_of_another_certificate_does_not() {
    let place = Place::on(Machine::furnished());
    place.git("upstream.git", &["update-server-info"]);
    let port = serve(place.upstream.clone(), basic("x-access-token", CREDENTIAL));
    let (_tls, port) = match tls_before(port, &place.machine) {
        Ok(running) => running,
        Err(why) => return std::println!("skipped: {why}"),
    };
    listening_git(&place.machine);
    let url = format!("https://localhost:{port}/web.git");
    let init = ["gate", "init", "web", "--from", &url, "--credential", "github"];
    let said = place.machine.fails(&init, "certificate", "").everything();
    assert!(!said.contains(CREDENTIAL), "{said}");
    assert!(!place.machine.path("state/gate/web.git").exists());
    // Who is trusted is the operator's to say, as for every git.
    let trusted = format!("[http]\n\tsslCAInfo = {}\n", place.machine.text("certificate.pem"));
    place.machine.write("home/.gitconfig", &trusted);
    place.machine.ok(&init);
    the_next_commit_comes_too(&place);
}

/// Ended when dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn await_listener(port: u16) {
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(start.elapsed() < Duration::from_secs(5), "nobody listens on {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

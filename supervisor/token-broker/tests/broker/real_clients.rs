//! Clients as people use them, on the broker's socket, with the phantom alone. Each is skipped
//! where it is not installed; `make test` installs the Python ones.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::harness::{Broker, REAL, TOKEN, Upstream};

/// Names an interpreter that has aiohttp, websockets, httpx, openai and anthropic.
const PYTHON: &str = "TEROK_TEST_PYTHON_CLIENTS";

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/services").join(name)
}

/// Ends when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn python_clients_and_sdks_work_with_the_phantom_alone() {
    let Some(python) = std::env::var_os(PYTHON).filter(|python| !python.is_empty()) else {
        return eprintln!("skipped: {PYTHON} names no interpreter");
    };
    let upstream = Command::new(&python)
        .arg(script("python_upstream.py"))
        .args([REAL, TOKEN])
        .stdout(Stdio::piped())
        .spawn();
    let mut upstream = Running(upstream.unwrap());
    let mut port = String::new();
    BufReader::new(upstream.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
    let routes = format!(r#"{{"p": {{"upstream": "http://127.0.0.1:{}"}}}}"#, port.trim());
    let broker = Broker::start(&routes);
    let ran = Command::new(&python)
        .arg(script("python_clients.py"))
        .arg(broker.path("vault.sock"))
        .arg(TOKEN)
        .output()
        .unwrap();
    let said = text(&ran);
    assert!(ran.status.success(), "{said}\n{}", broker.log());
    assert_eq!(said.matches("ok: ").count(), 8, "{said}");
}

#[test]
fn curl_gets_posts_and_resumes_with_the_phantom_alone() {
    if !is_installed("curl") {
        return eprintln!("skipped: no curl");
    }
    let upstream = Upstream::doing(|mut exchange| {
        exchange.record_with_body();
        let range = exchange.head.header("range").unwrap_or("no range").to_owned();
        let body = format!("{} {range}", exchange.head.target());
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        exchange.write(format!("{head}{body}").as_bytes());
    });
    let broker = Broker::to(&upstream);
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", "--max-time", "20", "--unix-socket"]);
        command.arg(broker.path("vault.sock"));
        command.args(["-H", &format!("Authorization: token {TOKEN}")]).args(arguments);
        text(&command.output().unwrap())
    };
    assert_eq!(curl(&["http://localhost/repos?q=a%20b"]), "/repos?q=a%20b no range");
    assert_eq!(curl(&["-r", "5-9", "http://localhost/file"]), "/file bytes=5-9");
    let seen = [upstream.request(), upstream.request()];
    for request in seen {
        let credential = format!("Bearer {REAL}");
        assert_eq!(request.header("authorization"), Some(credential.as_str()));
    }
    // Larger than a megabyte, curl asks first whether it may send.
    let file = broker.path("large");
    std::fs::write(&file, vec![b'x'; 3_000_000]).unwrap();
    let upload = format!("@{}", file.display());
    curl(&["--data-binary", &upload, "http://localhost/upload"]);
    assert_eq!(upstream.request().body.len(), 3_000_000);
}

#[test]
fn gits_requests_keep_what_git_said_in_them() {
    if !is_installed("curl") {
        return eprintln!("skipped: no curl");
    }
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    let refused = Command::new("curl")
        .args(["--silent", "--unix-socket"])
        .arg(broker.path("vault.sock"))
        .args(["--write-out", "%{http_code}", "--output", "/dev/null"])
        .args(["-H", "Git-Protocol: version=2"])
        .arg("http://localhost/o/r.git/info/refs?service=git-upload-pack")
        .output()
        .unwrap();
    assert_eq!(text(&refused), "401");
    let asked = Command::new("curl")
        .args(["--silent", "--unix-socket"])
        .arg(broker.path("vault.sock"))
        .args(["-H", &format!("Authorization: Bearer {TOKEN}")])
        .args(["-H", "Git-Protocol: version=2", "-H", "Content-Encoding: gzip"])
        .args(["--data-binary", "0000", "http://localhost/o/r.git/git-upload-pack"])
        .output()
        .unwrap();
    assert_eq!(text(&asked), "hello");
    let request = upstream.request();
    assert_eq!(request.header("git-protocol"), Some("version=2"));
    assert_eq!(request.header("content-encoding"), Some("gzip"));
}

#[test]
fn gh_reads_through_its_unix_socket() {
    if !is_installed("gh") {
        return eprintln!("skipped: no gh");
    }
    let body = r#"{"login":"octo"}"#;
    let upstream = Upstream::answering(&format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let broker = Broker::to(&upstream);
    let settings = broker.path("gh");
    std::fs::create_dir(&settings).unwrap();
    let socket = broker.path("vault.sock");
    std::fs::write(
        settings.join("config.yml"),
        format!("http_unix_socket: {}\n", socket.display()),
    )
    .unwrap();
    let asked = Command::new("gh")
        .args(["api", "user", "--jq", ".login"])
        .env("GH_CONFIG_DIR", &settings)
        .env("GH_TOKEN", TOKEN)
        .env("GH_NO_UPDATE_NOTIFIER", "1")
        .output()
        .unwrap();
    assert_eq!(text(&asked).trim(), "octo");
    let credential = format!("Bearer {REAL}");
    assert_eq!(upstream.request().header("authorization"), Some(credential.as_str()));
}

fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

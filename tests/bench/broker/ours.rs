//! The broker, once on a socket file and once on a port, with this process as its keeper.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use command_fds::{CommandFdExt, FdMapping};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use terok_shared::handover::{
    AUDIT_FD, BrokerSlice, Common, FIRST_STRAY_FD, LINE_FD, LISTENER_FD, READY_FD, Slice,
};
use terok_shared::sys::descriptors;
use vault_grant::{
    Answer, Credential, CredentialKind, Grant, Line, LineError, Question, Refusal, Reply, Request,
    TokenInfo,
};

use crate::PROXY_CPU;
use crate::contender::Contender;
use crate::process::Process;

pub(crate) const TOKEN: &str = "terok-p-00112233445566778899aabbccddeeff";

pub(crate) fn broker(place: &Path, upstream: SocketAddr) -> Contender {
    let routes = place.join("routes.json");
    let table = format!(r#"{{"p": {{"upstream": "http://{upstream}"}}}}"#);
    std::fs::write(&routes, table).unwrap();
    let socket = place.join("broker.sock");
    let unix = UnixListener::bind(&socket).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    Contender {
        name: "broker",
        unix: (socket, start(place, unix.into())),
        tcp: (address, start(place, tcp.into())),
    }
    .opened()
}

#[expect(clippy::zombie_processes, reason = "ended with the benchmark, by their ids")]
fn start(place: &Path, listener: OwnedFd) -> Process {
    let reserved = descriptors::reserve_up_to(FIRST_STRAY_FD).unwrap();
    let (keepers, brokers) = vault_grant::pair().unwrap();
    let audit =
        OpenOptions::new().create(true).append(true).open(place.join("audit.jsonl")).unwrap();
    let (mut ready, readied) = std::io::pipe().unwrap();
    let map = |parent_fd: OwnedFd, child_fd| FdMapping { parent_fd, child_fd };
    let mut child = Command::new("taskset")
        .args(["-c", &PROXY_CPU.to_string(), env!("CARGO_BIN_EXE_terok-token-broker")])
        .stdin(Stdio::piped())
        .fd_mappings(vec![
            map(readied.into(), READY_FD),
            map(listener, LISTENER_FD),
            map(brokers, LINE_FD),
            map(audit.into(), AUDIT_FD),
        ])
        .unwrap()
        .spawn()
        .unwrap();
    drop(reserved);
    let slice = Slice {
        common: Common {
            parent_pid: i32::try_from(std::process::id()).unwrap(),
            allow_debugger: true,
            container_name: "bench".into(),
            leave_after: None,
        },
        service: BrokerSlice { routes_path: place.join("routes.json") },
    };
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&serde_json::to_vec(&slice).unwrap()).unwrap();
    drop(stdin);
    let mut said = Vec::new();
    ready.read_to_end(&mut said).unwrap();
    assert_eq!(said, b"R", "the broker is not ready");
    thread::spawn(move || keep(&Line::new(keepers)));
    Process(child.id())
}

/// The keeper's part: one token, one key.
fn keep(line: &Line) {
    loop {
        let mut ready = [PollFd::new(line.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::NONE).unwrap();
        let request = match line.receive::<Request>() {
            Ok(request) => request,
            Err(LineError::WouldBlock) => continue,
            Err(_) => return,
        };
        let answer = match request.question {
            Question::Grant { token } if token.matches(TOKEN) => Answer::Grant(Grant {
                token: TokenInfo {
                    scope: "scope".into(),
                    subject: "bench".into(),
                    credential_set: "default".into(),
                    provider: "p".into(),
                },
                credential: Ok(Credential {
                    kind: CredentialKind::Key,
                    value: "real-credential".to_owned().into(),
                    members: vec![],
                }),
            }),
            _ => Answer::Refused(Refusal::UnknownToken),
        };
        line.send(&Reply::To(request.id, answer)).unwrap();
    }
}

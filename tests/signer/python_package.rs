//! The Python package's view of the signer: its own handshake and its own parsing of answers.
//!
//! Runs when `TEROK_TEST_PYTHON` names an interpreter that can import `terok_sandbox` 0.6.0.

use std::process::Command;

use terok_shared::endpoint::Endpoint;
use terok_shared::service::Service;
use terok_tests::fixtures;
use terok_tests::house::House;

use crate::desk::Desk;

/// Speaks with the package's framing and message numbers, has one SSHSIG signed by each key and
/// checks it with the library the package uses.
const CLIENT: &str = r#"
import hashlib, json, socket, struct, sys
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
import terok_sandbox
path, token, lines = sys.argv[1], sys.stdin.readline().strip(), sys.argv[2:]
def string(b): return struct.pack(">I", len(b)) + b
def read(s, n):
    b = b""
    while len(b) < n:
        part = s.recv(n - len(b))
        assert part, "closed"
        b += part
    return b
s = socket.socket(socket.AF_UNIX)
s.connect(path)
s.sendall(string(token.encode()))
def ask(payload):
    s.sendall(string(payload))
    return read(s, struct.unpack(">I", read(s, 4))[0])
def take(b):
    n = struct.unpack(">I", b[:4])[0]
    return b[4:4 + n], b[4 + n:]
answer = ask(b"\x0b")
assert answer[0] == 12
count, rest, blobs = struct.unpack(">I", answer[1:5])[0], answer[5:], []
for _ in range(count):
    blob, rest = take(rest)
    comment, rest = take(rest)
    blobs.append(blob)
assert len(blobs) == len(lines)
data = b"SSHSIG" + string(b"file") + string(b"") + string(b"sha512") + string(hashlib.sha512(b"m").digest())
for blob, line in zip(blobs, lines):
    answer = ask(b"\x0d" + string(blob) + string(data) + struct.pack(">I", 4))
    assert answer[0] == 14, answer
    signature, _ = take(answer[1:])
    name, rest = take(signature)
    value, _ = take(rest)
    key = load_ssh_public_key(line.encode())
    if name == b"ssh-ed25519":
        key.verify(value, data)
    else:
        assert name == b"rsa-sha2-512"
        key.verify(value, data, padding.PKCS1v15(), hashes.SHA512())
print("verified", len(blobs))
"#;

#[test]
fn the_packages_words_are_understood_and_its_library_verifies() {
    let Some(interpreter) = std::env::var_os("TEROK_TEST_PYTHON") else {
        println!("skipped: TEROK_TEST_PYTHON names no interpreter with terok_sandbox");
        return;
    };
    let house = House::new();
    let desk = Desk::open(&house);
    let Endpoint::Unix(path) = desk.container.endpoint(Service::Signer) else { unreachable!() };
    let mut client = Command::new(interpreter)
        .args(["-c", CLIENT])
        .arg(path)
        .args(fixtures::ssh_public_keys())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    use std::io::Write;
    let token = fixtures::token("ssh") + "\n";
    client.stdin.take().unwrap().write_all(token.as_bytes()).unwrap();
    let output = client.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "verified 2\n");
}

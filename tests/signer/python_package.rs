//! The Python package's own agent client against our signer: its framing and parsing, and the
//! bridge it puts into images.
//!
//! Runs when `TEROK_TEST_PYTHON` names an interpreter that can import `terok_sandbox` 0.6.0.

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use terok_shared::service::Service;
use terok_tests::eventually::eventually;
use terok_tests::house::House;
use terok_tests::{fixtures, openssh};

use crate::desk::Desk;

/// Lists the keys and has each sign one message, in the package's words; the library the package
/// signs with verifies.
const CLIENT: &str = r#"
import asyncio, hashlib, struct, sys
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from terok_sandbox.vault.ssh.signer import _pack_string, _read_msg, _unpack_string, _write_msg

async def main(path, token, lines):
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(_pack_string(token.encode()))
    async def ask(number, payload=b""):
        _write_msg(writer, number, payload)
        return await _read_msg(reader)
    number, payload = await ask(11)
    assert number == 12, number
    (count,), offset, blobs = struct.unpack_from(">I", payload), 4, []
    for _ in range(count):
        blob, offset = _unpack_string(memoryview(payload), offset)
        _, offset = _unpack_string(memoryview(payload), offset)
        blobs.append(blob)
    assert len(blobs) == len(lines)
    digest = hashlib.sha512(b"m").digest()
    data = b"SSHSIG" + b"".join(map(_pack_string, [b"file", b"", b"sha512", digest]))
    for blob, line in zip(blobs, lines):
        number, payload = await ask(13, _pack_string(blob) + _pack_string(data) + struct.pack(">I", 4))
        assert number == 14, number
        signature, _ = _unpack_string(memoryview(payload), 0)
        name, offset = _unpack_string(memoryview(signature), 0)
        value, _ = _unpack_string(memoryview(signature), offset)
        key = load_ssh_public_key(line.encode())
        if name == b"ssh-ed25519":
            key.verify(value, data)
        else:
            assert name == b"rsa-sha2-512"
            key.verify(value, data, padding.PKCS1v15(), hashes.SHA512())
    print("verified", len(blobs))

asyncio.run(main(sys.argv[1], sys.stdin.readline().strip(), sys.argv[2:]))
"#;

/// Where the package keeps the bridge for images.
const BRIDGE: &str = r#"
import importlib.resources as r
print(r.files("terok_sandbox") / "resources/bridges/ssh-agent-bridge.sh")
"#;

fn interpreter() -> Option<OsString> {
    let named = std::env::var_os("TEROK_TEST_PYTHON");
    if named.is_none() {
        println!("skipped: TEROK_TEST_PYTHON names no interpreter with terok_sandbox");
    }
    named
}

fn python(interpreter: &OsString, script: &str, words: &[String], input: &str) -> Output {
    let mut python = Command::new(interpreter)
        .args(["-c", script])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

#[test]
fn the_packages_words_are_understood_and_its_library_verifies() {
    let Some(interpreter) = interpreter() else { return };
    let house = House::new();
    let desk = Desk::open(&house);
    let mut words = vec![desk.container.socket(Service::Signer).to_str().unwrap().to_owned()];
    words.extend(fixtures::ssh_public_keys());
    let output = python(&interpreter, CLIENT, &words, &(fixtures::token("ssh") + "\n"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "verified 2\n");
}

/// The package's bridge at an agent socket of the test's own; socat starts it for each client.
struct Bridge(Child);

impl Bridge {
    fn start(script: &str, socket: &Path, signer: &Path) -> Option<Self> {
        let mut socat = Command::new("socat");
        socat
            .arg(format!("UNIX-LISTEN:{},fork", socket.display()))
            .arg(format!("SYSTEM:bash {script}"))
            .env("TEROK_SSH_SIGNER_SOCKET", signer)
            .env("TEROK_SSH_SIGNER_TOKEN", fixtures::token("ssh"));
        match socat.spawn() {
            Ok(process) => Some(Self(process)),
            Err(why) => {
                println!("skipped: start socat: {why}");
                None
            }
        }
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_packages_bridge_in_an_image_leads_ssh_keygen_to_the_vaults_keys() {
    let Some(interpreter) = interpreter() else { return };
    let house = House::new();
    let desk = Desk::open(&house);
    let script = python(&interpreter, BRIDGE, &[], "").stdout;
    let script = String::from_utf8(script).unwrap();
    let socket = house.path().join("bridged.sock");
    let signer = desk.container.socket(Service::Signer);
    let Some(_bridge) = Bridge::start(script.trim_end(), &socket, &signer) else { return };
    eventually("socat listens", || socket.exists());
    for key in fixtures::ssh_public_keys() {
        openssh::sign(&socket, house.path(), &key).unwrap();
        assert!(openssh::verify(house.path(), &key, "a message"));
    }
}

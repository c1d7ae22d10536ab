//! Private key files, judged by `ssh-keygen` and `openssl`, which must be installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use aws_lc_rs::signature::{Ed25519KeyPair, RsaKeyPair};
use tempfile::TempDir;
use terok_shared::secret::Secret;
use vault_store::scope::Comment;
use vault_store::ssh_key::file::{ImportError, import, match_public_line};
use vault_store::ssh_key::generate::generate;
use vault_store::ssh_key::{KeyKind, KeyPair, KeyRefused};

use crate::fixture::secret;

struct KeyFile {
    _directory: TempDir,
    path: PathBuf,
}

impl KeyFile {
    fn ssh_keygen(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        run(Command::new("ssh-keygen").args(["-q", "-f"]).arg(&path).args(arguments));
        Self { _directory: directory, path }
    }

    fn openssl(arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        run(Command::new("openssl").args(arguments).arg("-out").arg(&path));
        Self { _directory: directory, path }
    }

    fn import(&self, passphrase: Option<&str>) -> Result<KeyPair, ImportError> {
        let bytes = Secret::from(fs::read(&self.path).unwrap());
        import(&bytes, passphrase.map(secret).as_ref())
    }

    fn public_line(&self) -> String {
        fs::read_to_string(self.path.with_extension("pub")).unwrap()
    }
}

fn run(command: &mut Command) -> String {
    let output = command.output().expect("the program is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn fingerprint_by_ssh_keygen(public_line: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key.pub");
    fs::write(&path, public_line).unwrap();
    let printed = run(Command::new("ssh-keygen").arg("-lf").arg(&path));
    printed.split(' ').nth(1).unwrap().to_owned()
}

fn assert_signer_loads(pair: &KeyPair) {
    let der = pair.private_der().expose();
    match pair.kind() {
        KeyKind::Ed25519 => drop(Ed25519KeyPair::from_pkcs8(der).unwrap()),
        KeyKind::Rsa => drop(RsaKeyPair::from_pkcs8(der).unwrap()),
    }
}

#[test]
fn openssh_files_give_the_key_ssh_keygen_made() {
    for kind in [["-t", "ed25519"].as_slice(), &["-t", "rsa"], &["-t", "rsa", "-b", "4096"]] {
        for passphrase in [None, Some("päss word")] {
            let options = ["-C", "me@here", "-N", passphrase.unwrap_or("")];
            let file = KeyFile::ssh_keygen(&[kind, &options].concat());
            let pair = file.import(passphrase).unwrap();
            assert_eq!(pair.public_line(), file.public_line().trim_end());
            assert_eq!(pair.fingerprint(), fingerprint_by_ssh_keygen(&file.public_line()));
            assert_signer_loads(&pair);
        }
    }
}

#[test]
fn every_cipher_of_ssh_keygen_is_read() {
    for cipher in ["aes256-ctr", "aes256-cbc", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com"] {
        let file = KeyFile::ssh_keygen(&["-t", "ed25519", "-Z", cipher, "-N", "secret"]);
        assert!(file.import(Some("secret")).is_ok(), "{cipher}");
    }
}

#[test]
fn pem_files_give_the_key_they_hold() {
    for kind in [["-t", "rsa", "-m", "PEM"], ["-t", "rsa", "-m", "PKCS8"]] {
        for passphrase in [None, Some("secret")] {
            let options = ["-N", passphrase.unwrap_or("")];
            let file = KeyFile::ssh_keygen(&[kind.as_slice(), &options].concat());
            let pair = file.import(passphrase).unwrap();
            let stated = match_public_line(pair, &file.public_line()).unwrap();
            assert_signer_loads(&stated);
        }
    }
    let ed25519 = KeyFile::openssl(&["genpkey", "-algorithm", "ed25519"]).import(None).unwrap();
    assert_eq!(ed25519.kind(), KeyKind::Ed25519);
    assert_signer_loads(&ed25519);
}

#[test]
fn a_protected_file_asks_for_its_passphrase() {
    for kind in [["-t", "ed25519", "-m", "RFC4716"], ["-t", "rsa", "-m", "PKCS8"]] {
        let file = KeyFile::ssh_keygen(&[kind.as_slice(), &["-N", "secret"]].concat());
        assert!(matches!(file.import(None), Err(ImportError::Encrypted)));
        assert!(matches!(file.import(Some("hunter2")), Err(ImportError::WrongPassphrase)));
    }
}

#[test]
fn keys_the_signer_cannot_use_are_refused() {
    let ecdsa = KeyFile::ssh_keygen(&["-t", "ecdsa", "-N", ""]);
    let error = ecdsa.import(None).unwrap_err();
    assert!(matches!(error, ImportError::Key(KeyRefused::Algorithm)), "{error:?}");
    let small = KeyFile::ssh_keygen(&["-t", "rsa", "-b", "1024", "-N", ""]);
    assert!(matches!(
        small.import(None),
        Err(ImportError::Key(KeyRefused::RsaSize { bits: 1024 }))
    ));
    let three = KeyFile::openssl(&[
        "genpkey",
        "-algorithm",
        "rsa",
        "-pkeyopt",
        "rsa_keygen_bits:2048",
        "-pkeyopt",
        "rsa_keygen_pubexp:3",
    ]);
    assert!(matches!(
        three.import(None),
        Err(ImportError::Key(KeyRefused::RsaExponent { exponent: 3 }))
    ));
}

#[test]
fn files_that_are_no_private_keys_are_refused() {
    for bytes in [
        "",
        "hunter2",
        "-----BEGIN OPENSSH PRIVATE KEY-----\naGk=\n-----END OPENSSH PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\naGk=\n-----END PRIVATE KEY-----\n",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAvKf/apKGd6rT7xGVlEfKVFopc/Pkt5wTcL5CqIsKlY",
    ] {
        let error = import(&Secret::from(bytes.as_bytes().to_vec()), None).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}

#[test]
fn halves_of_different_keys_are_refused() {
    let pair = || generate(KeyKind::Ed25519, Comment::default()).unwrap();
    let (one, other) = (pair(), pair());
    let line = format!("{} label", one.public_line());
    assert!(matches!(match_public_line(other, &line), Err(ImportError::Mismatch)));
    assert_eq!(match_public_line(one, &line).unwrap().comment().as_str(), "label");
    for line in ["", "ssh-ed25519", "ssh-ed25519 %%%"] {
        assert!(matches!(match_public_line(pair(), line), Err(ImportError::PublicLine)));
    }
}

#[test]
fn an_openssh_file_with_a_foreign_public_half_is_refused() {
    let (one, other) = (ed25519_file(), ed25519_file());
    let (mut bytes, foreign) = (decode(&one.path), decode(&other.path));
    // openssh-key-v1: the outer public blob is at a fixed place in a file without a passphrase.
    let place = 15 + 8 + 8 + 4 + 4 + 4 + 19..15 + 8 + 8 + 4 + 4 + 4 + 51;
    bytes[place.clone()].copy_from_slice(&foreign[place]);
    fs::write(&one.path, encode(&bytes)).unwrap();
    assert!(one.import(None).is_err());
}

#[test]
fn ssh_keygen_recognises_generated_keys() {
    for kind in [KeyKind::Ed25519, KeyKind::Rsa] {
        let pair = generate(kind, Comment::parse("made here").unwrap()).unwrap();
        assert_eq!(fingerprint_by_ssh_keygen(&pair.public_line()), pair.fingerprint());
    }
}

fn ed25519_file() -> KeyFile {
    KeyFile::ssh_keygen(&["-t", "ed25519", "-N", ""])
}

fn decode(path: &Path) -> Vec<u8> {
    use base64::Engine;
    let text = fs::read_to_string(path).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    base64::prelude::BASE64_STANDARD.decode(body).unwrap()
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine;
    let body = base64::prelude::BASE64_STANDARD.encode(bytes);
    let lines: Vec<_> =
        body.as_bytes().chunks(70).map(|l| std::str::from_utf8(l).unwrap()).collect();
    format!(
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
        lines.join("\n")
    )
}

use super::*;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;

/// Algorithm, host key and signature over [`session_id`], made by ssh-agent of OpenSSH 9.2; the
/// certificates by ssh-keygen.
const OPENSSH: &str = include_str!("openssh.txt");

fn session_id() -> Vec<u8> {
    (1..=32).collect()
}

fn samples() -> impl Iterator<Item = (&'static str, Vec<u8>, Vec<u8>)> {
    OPENSSH.lines().map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let decode = |field: &str| BASE64_STANDARD.decode(field).unwrap();
        (fields[0], decode(fields[1]), decode(fields[2]))
    })
}

#[test]
fn signatures_of_openssh_hold_for_every_kind_but_sha_1() {
    let mut seen = vec![];
    for (algorithm, key, signature) in samples() {
        assert_eq!(signed(&key, &session_id(), &signature), algorithm != "ssh-rsa", "{algorithm}");
        seen.push(algorithm);
    }
    for algorithm in ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"] {
        assert!(seen.contains(&algorithm));
    }
    assert!(seen.contains(&"ecdsa-sha2-nistp521") && seen.contains(&"rsa-sha2-512"));
}

#[test]
fn another_session_identifier_was_not_signed() {
    for (algorithm, key, signature) in samples() {
        assert!(!signed(&key, &[1; 32], &signature), "{algorithm}");
        assert!(!signed(&key, &session_id()[..31], &signature), "{algorithm}");
    }
}

#[test]
fn another_hosts_key_did_not_sign() {
    let all: Vec<_> = samples().collect();
    for (_, key, _) in &all {
        for (algorithm, other, signature) in &all {
            if host_fingerprint(key) != host_fingerprint(other) {
                assert!(!signed(key, &session_id(), signature), "{algorithm}");
            }
        }
    }
}

#[test]
fn a_certificate_has_the_fingerprint_of_its_key() {
    let ed25519: Vec<_> = samples().filter(|(algorithm, ..)| *algorithm == "ssh-ed25519").collect();
    assert_eq!(ed25519.len(), 2);
    for (_, key, _) in &ed25519 {
        let expected = "SHA256:MygwRH8RHuwRV0Fv9NRWxaWGrWKDxy7xwuOQIrn98FA";
        assert_eq!(host_fingerprint(key).as_deref(), Some(expected));
    }
    for (_, key, _) in samples().filter(|(_, key, _)| !key.starts_with(b"\0\0\0\x1c")) {
        let plain = Key::parse(&key).unwrap().plain_blob();
        assert!(key == plain || key.len() > plain.len());
    }
}

#[test]
fn what_is_no_host_key_has_no_fingerprint() {
    for blob in [&b""[..], b"\0\0\0\x07ssh-dss", b"\0\0\0\x0bssh-ed25519", b"\xff\xff\xff\xff"] {
        assert_eq!(host_fingerprint(blob), None);
        assert!(!signed(blob, b"", b""));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_changed_byte_breaks_the_signature(place: usize, change in 1u8..) {
        for (algorithm, key, mut signature) in samples().filter(|(name, ..)| *name != "ssh-rsa") {
            let place = place % signature.len();
            signature[place] ^= change;
            prop_assert!(!signed(&key, &session_id(), &signature), "{algorithm}");
        }
    }

    #[test]
    fn no_bytes_upset_the_parsers(key in prop::collection::vec(any::<u8>(), 0..80), place: usize, change: u8) {
        let _ = signed(&key, b"id", &key);
        for (_, mut key, signature) in samples() {
            let place = place % key.len();
            key[place] ^= change;
            let _ = signed(&key, &session_id(), &signature);
            let _ = host_fingerprint(&key);
        }
    }
}

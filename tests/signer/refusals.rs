//! What an agent could do and ours does not: stock ssh-add is refused, and so is data without a
//! purpose. The audit has a line for each refused signature.

use std::process::Command;

use terok_tests::agent::{Agent, frame};
use terok_tests::fixtures;
use terok_tests::house::House;

use crate::desk::{Desk, blob, fingerprint};

const FAILURE: [u8; 1] = [5];

fn sign_request(blob: &[u8], data: &[u8]) -> Vec<u8> {
    let mut request = vec![13];
    request.extend(frame(blob));
    request.extend(frame(data));
    request.extend([0; 4]);
    request
}

fn answer(client: &mut Agent, request: &[u8]) -> Vec<u8> {
    client.send(request).unwrap();
    client.receive().unwrap()
}

#[test]
fn ssh_add_adds_removes_constrains_and_locks_nothing() {
    let house = House::new();
    let desk = Desk::open(&house);
    let key = house.path().join("another");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(made.success());
    let key = key.to_str().unwrap();
    let attempts: [&[&str]; 7] = [
        &[key],
        &["-c", key],
        &["-t", "60", key],
        &["-d", key],
        &["-D"],
        &["-s", "/usr/lib/nothing.so"],
        &["-x"],
    ];
    for words in attempts {
        let output = Command::new("ssh-add")
            .args(words)
            .env("SSH_AUTH_SOCK", &desk.agent)
            .env("SSH_ASKPASS", "/bin/true")
            .env("SSH_ASKPASS_REQUIRE", "force")
            .output()
            .unwrap();
        assert!(!output.status.success(), "{words:?}: {output:?}");
    }
    assert_eq!(desk.client().identities().unwrap(), 2);
}

#[test]
fn destination_constraints_of_ssh_add_are_refused() {
    let house = House::new();
    let desk = Desk::open(&house);
    let key = house.path().join("another");
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&key)
        .status()
        .unwrap();
    assert!(status.success());
    let known = house.path().join("known_hosts");
    let line = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    std::fs::write(&known, format!("example.org {line}")).unwrap();
    let output = Command::new("ssh-add")
        .args(["-h", "git@example.org", "-H"])
        .arg(&known)
        .arg(&key)
        .env("SSH_AUTH_SOCK", &desk.agent)
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
}

#[test]
fn data_without_a_purpose_is_refused_and_audited() {
    let house = House::new();
    let desk = Desk::open(&house);
    let mut client = desk.client();
    let line = &fixtures::ssh_public_keys()[0];
    for data in [&b"anything"[..], b"", b"SSHSIG", &[0; 64 * 1024]] {
        assert_eq!(answer(&mut client, &sign_request(&blob(line), data)), FAILURE);
    }
    let audited = desk.outcome("unknown_data");
    assert_eq!((&audited["kind"], &audited["subject"]), (&"unknown".into(), &"bench".into()));
    assert_eq!(audited["key"], fingerprint(line));
    desk.container.logged("neither an SSH login nor a message");
}

#[test]
fn a_key_that_is_not_in_the_scope_is_audited_with_its_fingerprint() {
    let house = House::new();
    let desk = Desk::open(&house);
    let foreign = b"\0\0\0\x0bssh-ed25519\0\0\0\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    assert_eq!(answer(&mut desk.client(), &sign_request(foreign, b"data")), FAILURE);
    let audited = desk.outcome("unknown_key");
    assert!(audited["key"].as_str().unwrap().starts_with("SHA256:"));
}

#[test]
fn an_unknown_token_is_audited_without_a_word_of_it() {
    let house = House::new();
    let desk = Desk::open(&house);
    let token = "terok-p-00000000000000000000000000000000";
    let signer = desk.container.endpoint(terok_shared::service::Service::Signer);
    let mut client = Agent::connect(&signer, token).unwrap();
    let line = &fixtures::ssh_public_keys()[0];
    assert_eq!(answer(&mut client, &sign_request(&blob(line), b"data")), FAILURE);
    let audited = desk.outcome("invalid_token");
    assert!(!audited.to_string().contains(token));
}

#[test]
fn a_query_names_the_one_extension_and_others_are_refused() {
    let house = House::new();
    let desk = Desk::open(&house);
    let mut client = desk.client();
    let query = [&[27][..], &frame(b"query")].concat();
    let expected = [&[29][..], &frame(b"query"), &frame(b"session-bind@openssh.com")].concat();
    assert_eq!(answer(&mut client, &query), expected);
    let other = [&[27][..], &frame(b"other@example.org"), b"contents"].concat();
    assert_eq!(answer(&mut client, &other), FAILURE);
}

#[test]
fn a_session_bind_nobody_signed_is_refused() {
    let house = House::new();
    let desk = Desk::open(&house);
    let line = &fixtures::ssh_public_keys()[0];
    let signature = [frame(b"ssh-ed25519"), frame(&[1; 64])].concat();
    let mut bind = vec![27];
    for part in [&b"session-bind@openssh.com"[..], &blob(line), &[7; 32], &signature] {
        bind.extend(frame(part));
    }
    bind.push(0);
    assert_eq!(answer(&mut desk.client(), &bind), FAILURE);
    desk.container.logged("the host did not sign this session identifier");
}

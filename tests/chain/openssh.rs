//! Stock OpenSSH against the signer: it lists the vault's keys, signs with them, and is refused
//! without a token. What it signed is judged by ssh-keygen.

use std::path::PathBuf;

use terok_shared::service::Service;
use terok_tests::house::House;
use terok_tests::{bridge, fixtures, openssh};

/// A served container, and the agent socket inside it that presents `token`.
fn with_agent(token: &str, act: impl FnOnce(PathBuf, &House)) {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    web.start();
    let socket = house.path().join("agent.sock");
    bridge::agent(&socket, web.endpoint(Service::Signer), token);
    act(socket, &house);
    for secret in [token, fixtures::passphrase().expose()] {
        assert!(!web.log().contains(secret) && !house.diary().contains(secret));
    }
}

#[test]
fn ssh_add_lists_the_keys_of_the_scope_default_first() {
    with_agent(&fixtures::token("ssh"), |agent, _| {
        let output = openssh::list_keys(&agent);
        let listed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(listed.lines().collect::<Vec<_>>(), fixtures::ssh_public_keys());
    });
}

fn signs_with(key: &str) {
    with_agent(&fixtures::token("ssh"), |agent, house| {
        openssh::sign(&agent, house.path(), key).unwrap();
        assert!(openssh::verify(house.path(), key, "a message"));
        assert!(!openssh::verify(house.path(), key, "another message"));
    });
}

#[test]
fn a_signature_with_ed25519_is_good() {
    signs_with(&fixtures::ssh_public_keys()[0]);
}

#[test]
fn a_signature_with_rsa_is_good() {
    signs_with(&fixtures::ssh_public_keys()[1]);
}

#[test]
fn a_token_that_is_unknown_or_not_for_ssh_gets_no_key_and_no_signature() {
    let key = &fixtures::ssh_public_keys()[0];
    for token in ["terok-p-00000000000000000000000000000000", &fixtures::token("fake")] {
        with_agent(token, |agent, house| {
            let output = openssh::list_keys(&agent);
            assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
            openssh::sign(&agent, house.path(), key).unwrap_err();
        });
    }
}

#[test]
fn a_token_of_another_scope_or_subject_gets_nothing() {
    for (key, value) in [("scope_id", "other"), ("token_subject", "somebody-else")] {
        let house = House::new();
        let web = house.container(&house.sidecar("web").with(key, value));
        web.start();
        let socket = house.path().join("agent.sock");
        bridge::agent(&socket, web.endpoint(Service::Signer), &fixtures::token("ssh"));
        assert!(!openssh::list_keys(&socket).status.success());
        web.logged("a token of another container or scope");
    }
}

#[test]
fn keys_cannot_be_added_or_removed_from_inside() {
    with_agent(&fixtures::token("ssh"), |agent, _| {
        let output = std::process::Command::new("ssh-add")
            .arg("-D")
            .env("SSH_AUTH_SOCK", &agent)
            .output()
            .unwrap();
        assert!(!output.status.success(), "{output:?}");
        let listed = openssh::list_keys(&agent).stdout;
        assert_eq!(String::from_utf8(listed).unwrap().lines().count(), 2);
    });
}

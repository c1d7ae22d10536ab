//! Rules of a key, kept against real ssh and sshd.

use terok_tests::fixtures;
use terok_tests::house::House;

use crate::desk::{Desk, fingerprint, rule};
use crate::sshd;

fn me() -> String {
    nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name
}

#[test]
fn a_key_for_one_host_logs_in_there_and_nowhere_else() {
    let (Some(own), Some(other)) = (sshd::start("ed25519"), sshd::start("rsa 3072")) else {
        return;
    };
    let house = House::new();
    let desk = Desk::open(&house);
    let key = &fixtures::ssh_public_keys()[0];
    rule(&house, key, &["host", &own.known_host()]);
    let only = own.only(key);
    let only: Vec<&str> = only.iter().map(String::as_str).collect();
    let there = own.ssh(&desk.agent, &only, "true");
    assert!(there.status.success(), "{there:?}");
    let elsewhere = other.ssh(&desk.agent, &only, "true");
    assert!(!elsewhere.status.success());
    let line = desk.outcome("rule_host");
    let other_key = fingerprint(other.known_host().split_once(' ').unwrap().1);
    assert_eq!((&line["host"], &line["user"]), (&other_key.as_str().into(), &me().into()));
    desk.container.logged(&format!("the key's rules do not allow host {other_key}"));
    // The same key without the rule is let in: it was the rule that refused.
    rule(&house, key, &["clear"]);
    assert!(other.ssh(&desk.agent, &only, "true").status.success());
}

#[test]
fn a_key_for_one_host_is_refused_to_those_who_forward_it() {
    let (Some(near), Some(far)) = (sshd::start("ed25519"), sshd::start("ed25519")) else { return };
    let house = House::new();
    let desk = Desk::open(&house);
    for key in fixtures::ssh_public_keys() {
        rule(&house, &key, &["host", &near.known_host()]);
        rule(&house, &key, &["host", &far.known_host()]);
    }
    let next = format!(
        "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
         -o LogLevel=ERROR -p {} 127.0.0.1 true",
        far.known_host().split(['[', ']', ':', ' ']).nth(3).unwrap()
    );
    let output = near.ssh(&desk.agent, &["-A"], &next);
    assert!(!output.status.success(), "{output:?}");
    desk.outcome("rule_forwarded");
    desk.outcome("ok");
}

#[test]
fn a_key_for_another_user_is_refused() {
    let Some(host) = sshd::start("ed25519") else { return };
    let house = House::new();
    let desk = Desk::open(&house);
    for key in fixtures::ssh_public_keys() {
        rule(&house, &key, &["user", "git"]);
    }
    assert!(!host.ssh(&desk.agent, &[], "true").status.success());
    assert_eq!(desk.outcome("rule_user")["user"], me());
    rule(&house, &fixtures::ssh_public_keys()[1], &["user", &me()]);
    assert!(host.ssh(&desk.agent, &[], "true").status.success());
}

#[test]
fn a_key_for_messages_alone_logs_in_nowhere() {
    let Some(host) = sshd::start("ed25519") else { return };
    let house = House::new();
    let desk = Desk::open(&house);
    for key in fixtures::ssh_public_keys() {
        rule(&house, &key, &["namespace", "*"]);
    }
    assert!(!host.ssh(&desk.agent, &[], "true").status.success());
    desk.outcome("rule_login");
}

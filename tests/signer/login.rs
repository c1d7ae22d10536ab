//! Real `ssh` logging in to a real sshd with keys that only the vault has.

use std::process::Output;

use terok_tests::fixtures;
use terok_tests::house::House;

use crate::desk::{Desk, fingerprint};
use crate::sshd;

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn ssh_logs_in_and_the_audit_says_who_and_where() {
    for host_key in ["ed25519", "ecdsa 256", "ecdsa 384", "ecdsa 521", "rsa 3072"] {
        let Some(host) = sshd::start(host_key) else { return };
        let house = House::new();
        let desk = Desk::open(&house);
        let output = host.ssh(&desk.agent, &[], "echo let in");
        assert_eq!(text(&output), "let in\n", "{host_key}");
        let line = desk.outcome("ok");
        assert_eq!((&line["scope"], &line["subject"]), (&"proj1".into(), &"bench".into()));
        assert_eq!((&line["kind"], &line["provider"]), (&"userauth".into(), &"ssh".into()));
        assert_eq!(line["key"], fingerprint(&fixtures::ssh_public_keys()[0]));
        let host_line = host.known_host();
        let host_key_line = host_line.split_once(' ').unwrap().1;
        assert_eq!(line["host"], fingerprint(host_key_line), "{host_key}");
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap();
        assert_eq!(line["user"], user.name);
    }
}

#[test]
fn ssh_logs_in_with_rsa() {
    let Some(host) = sshd::start("ed25519") else { return };
    let house = House::new();
    let desk = Desk::open(&house);
    let rsa = &fixtures::ssh_public_keys()[1];
    let only = host.only(rsa);
    let only: Vec<&str> = only.iter().map(String::as_str).collect();
    for algorithm in ["rsa-sha2-512", "rsa-sha2-256"] {
        let accepted = format!("PubkeyAcceptedAlgorithms={algorithm}");
        let options = [&only[..], &["-o", &accepted]].concat();
        assert_eq!(text(&host.ssh(&desk.agent, &options, "echo let in")), "let in\n");
    }
    assert_eq!(desk.outcome("ok")["key"], fingerprint(rsa));
}

#[test]
fn a_forwarded_agent_logs_in_to_the_next_host() {
    let (Some(near), Some(far)) = (sshd::start("ed25519"), sshd::start("ed25519")) else { return };
    let house = House::new();
    let desk = Desk::open(&house);
    let next = format!(
        "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
         -o LogLevel=ERROR -p {} 127.0.0.1 echo there",
        far.known_host().split(['[', ']', ':', ' ']).nth(3).unwrap()
    );
    let output = near.ssh(&desk.agent, &["-A"], &next);
    assert_eq!(text(&output), "there\n");
    let lines: Vec<_> = house.audit().into_iter().filter(|line| line["outcome"] == "ok").collect();
    let hosts: Vec<_> = lines.iter().map(|line| line["host"].clone()).collect();
    let key_of = |host: &sshd::Sshd| fingerprint(host.known_host().split_once(' ').unwrap().1);
    assert_eq!(hosts, [key_of(&near), key_of(&far)]);
}

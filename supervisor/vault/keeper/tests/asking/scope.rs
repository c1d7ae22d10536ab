//! Broker and signer ask beyond what is theirs.

use std::os::fd::{AsFd, AsRawFd};

use nix::sys::socket::{MsgFlags, send};
use vault_grant::{Answer, Bind, Denial, Question, Refusal, Route};
use vault_store::ssh_key::rules::Rule;

use crate::house::{House, grant, identities, secret, to_sign};

fn sign(token: &str, key: &[u8]) -> Question {
    Question::Sign { token: secret(token), to_sign: to_sign(key, "file") }
}

fn refusal(answer: Answer) -> Refusal {
    match answer {
        Answer::Refused(refusal) => refusal,
        _ => panic!("it was answered"),
    }
}

#[test]
fn a_line_is_answered_what_is_its_own_and_nothing_else() {
    let house = House::new();
    let keeper = house.keeper();
    let [api, ssh] = &house.own;
    assert!(matches!(keeper.ask_as_broker(grant(api)), Answer::Grant(_)));
    assert!(matches!(keeper.ask_as_signer(identities(ssh)), Answer::Identities(_)));
    assert!(matches!(keeper.ask_as_signer(sign(ssh, &house.keys[0])), Answer::Signing(_)));

    assert_eq!(refusal(keeper.ask_as_signer(grant(api))), Refusal::NotYours);
    assert_eq!(refusal(keeper.ask_as_broker(identities(ssh))), Refusal::NotYours);
    assert_eq!(refusal(keeper.ask_as_broker(sign(ssh, &house.keys[0]))), Refusal::NotYours);
}

#[test]
fn a_token_is_good_for_its_own_provider_alone() {
    let house = House::new();
    let keeper = house.keeper();
    let [api, ssh] = &house.own;
    assert_eq!(refusal(keeper.ask_as_signer(identities(api))), Refusal::WrongProvider);
    assert_eq!(refusal(keeper.ask_as_signer(sign(api, &house.keys[0]))), Refusal::WrongProvider);
    let Answer::Grant(grant) = keeper.ask_as_broker(grant(ssh)) else { panic!("refused") };
    assert!(grant.credential.is_err(), "a token for keys is worth no credential");
}

#[test]
fn a_token_of_another_scope_gets_nothing_on_either_line() {
    let house = House::new();
    let keeper = house.keeper();
    let [api, ssh] = &house.other;
    let wrong = |answer| matches!(refusal(answer), Refusal::WrongScope(_));
    assert!(wrong(keeper.ask_as_broker(grant(api))));
    assert!(wrong(keeper.ask_as_signer(identities(ssh))));
    assert!(wrong(keeper.ask_as_signer(sign(ssh, &house.keys[1]))));
}

#[test]
fn a_key_of_another_scope_does_not_sign_for_a_token_of_this_one() {
    let house = House::new();
    let keeper = house.keeper();
    let Answer::Signing(signing) = keeper.ask_as_signer(sign(&house.own[1], &house.keys[1])) else {
        panic!("refused otherwise")
    };
    assert_eq!(signing.outcome, Err(Denial::UnknownKey));
}

#[test]
fn a_keys_rules_hold_whatever_the_signer_claims() {
    let house = House::new();
    let fingerprint = vault_store::ssh_key::fingerprint(&house.keys[0]);
    let mut vault = house.vault();
    vault.add_ssh_key_rule(&fingerprint, &Rule::namespace("git").unwrap()).unwrap();
    drop(vault);
    let keeper = house.keeper();
    let claims = Bind {
        host_key: house.keys[1].clone(),
        session_id: vec![1; 32],
        signature: b"\0\0\0\x0bssh-ed25519\0\0\0\0".to_vec(),
        is_forwarding: false,
    };
    for route in [Route::default(), Route { bind: Some(claims), is_forwarded: false }] {
        let mut to_sign = to_sign(&house.keys[0], "file");
        to_sign.route = route;
        let question = Question::Sign { token: secret(&house.own[1]), to_sign };
        let Answer::Signing(signing) = keeper.ask_as_signer(question) else { panic!("refused") };
        assert_eq!(signing.outcome, Err(Denial::Namespace("file".into())));
    }
    let mut any = to_sign(&house.keys[0], "git");
    any.data = b"whatever the signer likes".to_vec();
    let question = Question::Sign { token: secret(&house.own[1]), to_sign: any };
    let Answer::Signing(signing) = keeper.ask_as_signer(question) else { panic!("refused") };
    assert_eq!(signing.outcome, Err(Denial::UnknownData));
}

#[test]
fn garbage_on_one_line_stops_neither() {
    let house = House::new();
    let keeper = house.keeper();
    let flags = MsgFlags::MSG_NOSIGNAL;
    for line in [&keeper.signer, &keeper.broker] {
        for garbage in [&[0xff; 64][..], &[0], &[2; 4096]] {
            send(line.as_fd().as_raw_fd(), garbage, flags).unwrap();
        }
    }
    assert!(matches!(keeper.ask_as_broker(grant(&house.own[0])), Answer::Grant(_)));
    assert!(matches!(keeper.ask_as_signer(identities(&house.own[1])), Answer::Identities(_)));
}

use super::*;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use vault_grant::ssh_wire::put_string;
use vault_store::ssh_key::rules::Rule;

const SESSION: [u8; 32] = [7; 32];

struct Host(Ed25519KeyPair);

impl Host {
    fn new() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
    }

    fn key(&self) -> Vec<u8> {
        strings(&[b"ssh-ed25519", self.0.public_key().as_ref()])
    }

    fn fingerprint(&self) -> String {
        host_fingerprint(&self.key()).unwrap()
    }

    fn bind(&self, session_id: &[u8]) -> Bind {
        let signature = strings(&[b"ssh-ed25519", self.0.sign(session_id).as_ref()]);
        let session_id = session_id.to_vec();
        Bind { host_key: self.key(), session_id, signature, is_forwarding: false }
    }
}

fn strings(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = vec![];
    parts.iter().for_each(|part| put_string(&mut out, part));
    out
}

fn user_key() -> Vec<u8> {
    strings(&[b"ssh-ed25519", &[5; 32]])
}

fn login(user: &str, host_key: Option<&[u8]>, bind: Option<Bind>) -> ToSign {
    let mut data = strings(&[&SESSION]);
    data.push(50);
    data.extend(strings(&[user.as_bytes(), b"ssh-connection"]));
    data.extend(match host_key {
        Some(_) => strings(&[b"publickey-hostbound-v00@openssh.com"]),
        None => strings(&[b"publickey"]),
    });
    data.push(1);
    data.extend(strings(&[b"ssh-ed25519", &user_key()]));
    data.extend(host_key.map(|key| strings(&[key])).unwrap_or_default());
    let route = Route { bind, is_forwarded: false };
    ToSign { public_blob: user_key(), data, flags: 0, route }
}

fn signed_message(namespace: &str) -> ToSign {
    let mut data = b"SSHSIG".to_vec();
    data.extend(strings(&[namespace.as_bytes(), b"", b"sha512", &[1; 64]]));
    ToSign { public_blob: user_key(), data, flags: 0, route: Route::default() }
}

fn rules(rules: impl IntoIterator<Item = Rule>) -> Rules {
    Rules::new(rules)
}

fn only(host: &Host) -> Rules {
    rules([Rule::host(&host.fingerprint()).unwrap()])
}

#[test]
fn a_key_without_rules_logs_in_anywhere_and_signs_any_message() {
    let none = Rules::default();
    assert_eq!(permit(&login("git", None, None), &none), Ok(()));
    assert_eq!(permit(&login("git", Some(&Host::new().key()), None), &none), Ok(()));
    assert_eq!(permit(&signed_message("file"), &none), Ok(()));
}

#[test]
fn data_without_a_purpose_is_not_signed() {
    let to_sign = ToSign { data: b"any".to_vec(), ..signed_message("file") };
    assert_eq!(permit(&to_sign, &Rules::default()), Err(Denial::UnknownData));
}

#[test]
fn a_login_with_another_key_is_not_signed() {
    let to_sign = ToSign { public_blob: b"another".to_vec(), ..login("git", None, None) };
    assert_eq!(permit(&to_sign, &Rules::default()), Err(Denial::OtherKey));
}

#[test]
fn a_bound_connection_signs_for_its_session_and_host_alone() {
    let (host, other) = (Host::new(), Host::new());
    let none = Rules::default();
    let bind = || Some(host.bind(&SESSION));
    assert_eq!(permit(&login("git", None, bind()), &none), Ok(()));
    assert_eq!(permit(&login("git", Some(&host.key()), bind()), &none), Ok(()));
    let foreign = login("git", Some(&other.key()), bind());
    assert_eq!(permit(&foreign, &none), Err(Denial::OtherHostKey));
    let another_session = login("git", None, Some(host.bind(&[8; 32])));
    assert_eq!(permit(&another_session, &none), Err(Denial::OtherSession));
    let forwarding = Bind { is_forwarding: true, ..host.bind(&SESSION) };
    let to_sign = login("git", None, Some(forwarding));
    assert_eq!(permit(&to_sign, &none), Err(Denial::BoundForForwarding));
}

#[test]
fn a_key_for_one_host_logs_in_there_and_nowhere_else() {
    let (host, other) = (Host::new(), Host::new());
    let rules = only(&host);
    assert_eq!(permit(&login("git", None, Some(host.bind(&SESSION))), &rules), Ok(()));
    let elsewhere = login("git", None, Some(other.bind(&SESSION)));
    assert_eq!(permit(&elsewhere, &rules), Err(Denial::Host(other.fingerprint())));
}

#[test]
fn a_host_that_did_not_sign_the_session_is_not_believed() {
    let host = Host::new();
    let rules = only(&host);
    assert_eq!(permit(&login("git", None, None), &rules), Err(Denial::HostUnproven));
    let claimed = login("git", Some(&host.key()), None);
    assert_eq!(permit(&claimed, &rules), Err(Denial::HostUnproven));
    let mut forged = Host::new().bind(&SESSION);
    forged.host_key = host.key();
    let to_sign = login("git", None, Some(forged));
    assert_eq!(permit(&to_sign, &rules), Err(Denial::HostUnproven));
}

#[test]
fn a_key_for_one_host_is_not_used_from_another() {
    let host = Host::new();
    let mut to_sign = login("git", None, Some(host.bind(&SESSION)));
    to_sign.route.is_forwarded = true;
    assert_eq!(permit(&to_sign, &only(&host)), Err(Denial::Forwarded));
    assert_eq!(permit(&to_sign, &Rules::default()), Ok(()));
}

#[test]
fn a_key_for_one_user_logs_in_as_nobody_else() {
    let rules = rules([Rule::user("git").unwrap(), Rule::user("deploy-*").unwrap()]);
    for user in ["git", "deploy-web"] {
        assert_eq!(permit(&login(user, None, None), &rules), Ok(()), "{user}");
    }
    let root = permit(&login("root", None, None), &rules);
    assert_eq!(root, Err(Denial::User("root".into())));
}

#[test]
fn the_first_rule_makes_the_list_of_what_is_allowed() {
    let commits = rules([Rule::namespace("git").unwrap()]);
    assert_eq!(permit(&signed_message("git"), &commits), Ok(()));
    let file = permit(&signed_message("file"), &commits);
    assert_eq!(file, Err(Denial::Namespace("file".into())));
    assert_eq!(permit(&login("git", None, None), &commits), Err(Denial::NoLogin));
    let logins = rules([Rule::user("*").unwrap()]);
    assert_eq!(permit(&signed_message("git"), &logins), Err(Denial::Namespace("git".into())));
}

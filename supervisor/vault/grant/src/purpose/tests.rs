use super::*;
use crate::ssh_wire::put_string;
use proptest::prelude::*;

/// The data of `ssh-keygen -Y sign -n file`, as its agent is asked to sign it, with a digest of
/// our own.
const SSHSIG_DATA: &[u8] = b"SSHSIG\0\0\0\x04file\0\0\0\0\0\0\0\x06sha512\0\0\0\x40\
    \x01\x02\x03\x04\x05\x06\x07\x08\x01\x02\x03\x04\x05\x06\x07\x08\
    \x01\x02\x03\x04\x05\x06\x07\x08\x01\x02\x03\x04\x05\x06\x07\x08\
    \x01\x02\x03\x04\x05\x06\x07\x08\x01\x02\x03\x04\x05\x06\x07\x08\
    \x01\x02\x03\x04\x05\x06\x07\x08\x01\x02\x03\x04\x05\x06\x07\x08";

fn key(kind: &str) -> Vec<u8> {
    let mut blob = vec![];
    put_string(&mut blob, kind.as_bytes());
    put_string(&mut blob, &[7; 32]);
    blob
}

struct Request {
    session_id: Vec<u8>,
    number: u8,
    user: Vec<u8>,
    service: &'static str,
    method: &'static str,
    signed: u8,
    algorithm: &'static str,
    key: Vec<u8>,
    host_key: Option<Vec<u8>>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            session_id: vec![9; 32],
            number: 50,
            user: b"git".to_vec(),
            service: "ssh-connection",
            method: "publickey",
            signed: 1,
            algorithm: "ssh-ed25519",
            key: key("ssh-ed25519"),
            host_key: None,
        }
    }
}

impl Request {
    fn data(&self) -> Vec<u8> {
        let mut data = vec![];
        put_string(&mut data, &self.session_id);
        data.push(self.number);
        put_string(&mut data, &self.user);
        put_string(&mut data, self.service.as_bytes());
        put_string(&mut data, self.method.as_bytes());
        data.push(self.signed);
        put_string(&mut data, self.algorithm.as_bytes());
        put_string(&mut data, &self.key);
        if let Some(host_key) = &self.host_key {
            put_string(&mut data, host_key);
        }
        data
    }
}

fn sig(namespace: &[u8], reserved: &[u8], hash: &[u8], digest: usize) -> Vec<u8> {
    let mut data = b"SSHSIG".to_vec();
    for part in [namespace, reserved, hash, &vec![1; digest]] {
        put_string(&mut data, part);
    }
    data
}

#[test]
fn a_user_authentication_is_taken_apart() {
    let request = Request::default();
    let data = request.data();
    let Some(Purpose::UserAuth(auth)) = Purpose::of(&data) else { panic!("another purpose") };
    assert_eq!((auth.user, auth.algorithm, auth.host_key), ("git", "ssh-ed25519", None));
    assert_eq!((auth.session_id, auth.key), (&[9; 32][..], request.key.as_slice()));
}

#[test]
fn the_host_bound_variant_names_the_hosts_key() {
    let method = "publickey-hostbound-v00@openssh.com";
    let bound = Request { method, host_key: Some(key("ssh-rsa")), ..Request::default() };
    let data = bound.data();
    let Some(Purpose::UserAuth(auth)) = Purpose::of(&data) else { panic!("another purpose") };
    assert_eq!(auth.host_key, Some(key("ssh-rsa").as_slice()));
    for wrong in [
        Request { method, ..Request::default() },
        Request { host_key: Some(vec![]), ..Request::default() },
    ] {
        assert_eq!(Purpose::of(&wrong.data()), None);
    }
}

#[test]
fn every_rsa_algorithm_belongs_to_an_rsa_key_and_to_no_other() {
    for algorithm in ["ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"] {
        let rsa = Request { algorithm, key: key("ssh-rsa"), ..Request::default() };
        assert!(Purpose::of(&rsa.data()).is_some(), "{algorithm}");
        let other = Request { algorithm, ..Request::default() };
        assert_eq!(Purpose::of(&other.data()), None, "{algorithm}");
    }
}

#[test]
fn a_request_that_is_not_exactly_one_has_no_purpose() {
    for wrong in [
        Request { session_id: vec![], ..Request::default() },
        Request { session_id: vec![9; 129], ..Request::default() },
        Request { number: 51, ..Request::default() },
        Request { user: b"a\nb".to_vec(), ..Request::default() },
        Request { user: vec![0xff], ..Request::default() },
        Request { user: vec![b'a'; 257], ..Request::default() },
        Request { service: "ssh-userauth", ..Request::default() },
        Request { method: "hostbased", ..Request::default() },
        Request { signed: 0, ..Request::default() },
        Request { algorithm: "ssh-ed25519-cert-v01@openssh.com", ..Request::default() },
        Request { key: key("ssh-dss"), algorithm: "ssh-dss", ..Request::default() },
        Request { key: vec![], ..Request::default() },
    ] {
        assert_eq!(Purpose::of(&wrong.data()), None);
    }
}

#[test]
fn a_signed_message_names_its_namespace() {
    assert_eq!(Purpose::of(SSHSIG_DATA), Some(Purpose::SshSig { namespace: "file" }));
    for (hash, digest) in [(&b"sha256"[..], 32), (b"sha512", 64)] {
        let data = sig(b"git", b"", hash, digest);
        assert_eq!(Purpose::of(&data), Some(Purpose::SshSig { namespace: "git" }));
    }
}

#[test]
fn a_message_of_another_form_has_no_purpose() {
    for data in [
        sig(b"", b"", b"sha256", 32),
        sig(b"git", b"x", b"sha256", 32),
        sig(b"git", b"", b"sha1", 20),
        sig(b"git", b"", b"sha256", 64),
        sig(b"g\0t", b"", b"sha256", 32),
        b"SSHSIG".to_vec(),
        b"SSHSI".to_vec(),
        b"any other data".to_vec(),
        vec![],
    ] {
        assert_eq!(Purpose::of(&data), None);
    }
}

proptest! {
    #[test]
    fn a_cut_or_lengthened_request_has_no_purpose(
        user in "[a-z]{0,12}",
        cut in 1usize..40,
        tail in prop::collection::vec(any::<u8>(), 1..9),
    ) {
        let mut data = Request { user: user.into_bytes(), ..Request::default() }.data();
        prop_assert!(Purpose::of(&data).is_some());
        prop_assert_eq!(Purpose::of(&data[..data.len() - cut]), None);
        data.extend_from_slice(&tail);
        prop_assert_eq!(Purpose::of(&data), None);
    }

    #[test]
    fn no_data_upsets_the_parser(data in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = Purpose::of(&data);
    }

    #[test]
    fn no_changed_byte_upsets_the_parser(place in 0usize..400, byte: u8) {
        let method = "publickey-hostbound-v00@openssh.com";
        let host_key = Some(key("ssh-ed25519"));
        for mut data in [Request { method, host_key, ..Request::default() }.data(), SSHSIG_DATA.to_vec()] {
            let place = place % data.len();
            data[place] = byte;
            let _ = Purpose::of(&data);
        }
    }
}

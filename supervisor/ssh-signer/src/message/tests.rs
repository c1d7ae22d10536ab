use super::*;
use proptest::prelude::*;

fn extension_request(name: &[u8], contents: &[u8]) -> Vec<u8> {
    let mut payload = vec![SSH_AGENTC_EXTENSION];
    put_string(&mut payload, name);
    payload.extend_from_slice(contents);
    payload
}

fn bind_contents(host_key: &[u8], is_forwarding: u8) -> Vec<u8> {
    let mut contents = vec![];
    for part in [host_key, b"id", b"sig"] {
        put_string(&mut contents, part);
    }
    contents.push(is_forwarding);
    contents
}

#[test]
fn a_sign_request_is_taken_apart() {
    let payload = b"\x0d\0\0\0\x02kb\0\0\0\x04data\0\0\0\x04";
    let expected = Request::Sign { public_blob: b"kb".to_vec(), data: b"data".to_vec(), flags: 4 };
    assert_eq!(Request::parse(payload), expected);
}

#[test]
fn a_session_bind_is_taken_apart() {
    for (byte, is_forwarding) in [(0, false), (1, true)] {
        let payload = extension_request(SESSION_BIND, &bind_contents(b"key", byte));
        let expected = Bind {
            host_key: b"key".to_vec(),
            session_id: b"id".to_vec(),
            signature: b"sig".to_vec(),
            is_forwarding,
        };
        assert_eq!(Request::parse(&payload), Request::Bind(expected));
    }
}

#[test]
fn a_bind_that_is_not_exactly_one_is_malformed() {
    let good = bind_contents(b"key", 0);
    for contents in [
        good[..good.len() - 1].to_vec(),
        [good.as_slice(), b"x"].concat(),
        bind_contents(b"key", 2),
        bind_contents(&[0; MAX_BIND], 0),
        vec![],
    ] {
        let payload = extension_request(SESSION_BIND, &contents);
        assert_eq!(Request::parse(&payload), Request::Malformed);
    }
}

#[test]
fn a_query_has_no_contents_and_other_extensions_are_told_apart() {
    assert_eq!(Request::parse(&extension_request(QUERY, b"")), Request::Query);
    assert_eq!(Request::parse(&extension_request(QUERY, b"x")), Request::Malformed);
    let other = extension_request(b"restrict-destination-v00@openssh.com", b"anything");
    assert_eq!(Request::parse(&other), Request::OtherExtension);
}

#[test]
fn trailing_bytes_and_lying_lengths_are_malformed() {
    for payload in [
        &b"\x0d\0\0\0\x02kb\0\0\0\x04data\0\0\0\x04x"[..],
        b"\x0d\xff\xff\xff\xffkb",
        b"\x0d",
        b"\x0bx",
        b"\x1b",
        b"\x1b\xff\xff\xff\xff",
        b"",
    ] {
        assert_eq!(Request::parse(payload), Request::Malformed);
    }
}

#[test]
fn adding_removing_and_locking_are_other_messages() {
    for number in [17, 18, 19, 20, 22, 23, 25, 26, 1] {
        assert_eq!(Request::parse(&[number, 0]), Request::Other(number));
    }
}

#[test]
fn answers_have_the_bytes_of_the_draft() {
    let one = Identity { public_blob: b"kb".to_vec(), comment: "c".into() };
    assert_eq!(identities(&[one]), b"\x0c\0\0\0\x01\0\0\0\x02kb\0\0\0\x01c");
    assert_eq!(signature(b"sig"), b"\x0e\0\0\0\x03sig");
    assert_eq!(extensions(), b"\x1d\0\0\0\x05query\0\0\0\x18session-bind@openssh.com");
    assert_eq!((failure(), success()), (vec![5], vec![6]));
}

proptest! {
    #[test]
    fn a_sign_request_of_any_content_is_read_back(
        blob in prop::collection::vec(any::<u8>(), 0..64),
        data in prop::collection::vec(any::<u8>(), 0..64),
        flags in any::<u32>(),
    ) {
        let mut payload = vec![SSH_AGENTC_SIGN_REQUEST];
        put_string(&mut payload, &blob);
        put_string(&mut payload, &data);
        payload.extend_from_slice(&flags.to_be_bytes());
        let expected = Request::Sign { public_blob: blob, data, flags };
        prop_assert_eq!(Request::parse(&payload), expected);
        payload.pop();
        prop_assert_eq!(Request::parse(&payload), Request::Malformed);
    }

    #[test]
    fn no_payload_upsets_the_parser(number in 0u8..32, rest in prop::collection::vec(any::<u8>(), 0..200)) {
        let payload = [&[number], rest.as_slice()].concat();
        let _ = Request::parse(&payload);
    }
}

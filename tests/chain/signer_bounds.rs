//! The signer and clients that do not behave: slow, silent, lying, many.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use terok_shared::endpoint::Endpoint;
use terok_shared::service::Service;
use terok_tests::agent::{self, Agent, frame, handshake};
use terok_tests::fixtures;
use terok_tests::house::House;
use terok_tests::stream::Stream;

const IDENTITIES: &[u8] = &[11];
const FAILURE: &[u8] = &[5];

fn with_signer(act: impl FnOnce(&Endpoint)) {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    web.start_serving(&[Service::Keeper, Service::Signer]);
    let signer = web.endpoint(Service::Signer);
    act(&signer);
    // Whatever they did, the next one is served.
    assert_eq!(Agent::connect(&signer, &fixtures::token("ssh")).unwrap().identities().unwrap(), 2);
    assert!(!web.log().contains("signer starts again"), "{}", web.log());
}

/// Whether the signer closes the connection, without a word, soon.
fn is_closed(stream: &mut Stream) -> bool {
    stream.give_up_after(Some(Duration::from_secs(2))).unwrap();
    let mut rest = Vec::new();
    // A reset is an end too.
    match stream.read_to_end(&mut rest) {
        Ok(_) => rest.is_empty(),
        Err(why) => why.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn a_client_that_writes_single_bytes_is_served() {
    with_signer(|signer| {
        let mut stream = Stream::connect(signer).unwrap();
        let mut bytes = handshake(&fixtures::token("ssh"));
        bytes.extend(frame(IDENTITIES));
        for byte in bytes {
            stream.write_all(&[byte]).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(agent::count(&answer).unwrap(), 2);
    });
}

#[test]
fn a_handshake_of_no_possible_length_is_closed_at_once() {
    with_signer(|signer| {
        for length in [0, 1025, u32::MAX] {
            let mut stream = Stream::connect(signer).unwrap();
            stream.write_all(&length.to_be_bytes()).unwrap();
            assert!(is_closed(&mut stream), "{length}");
        }
    });
}

#[test]
fn a_frame_of_no_possible_length_is_closed_at_once() {
    with_signer(|signer| {
        for length in [0, 256 * 1024 + 1, u32::MAX] {
            let mut agent = Agent::connect(signer, &fixtures::token("ssh")).unwrap();
            agent.stream().write_all(&length.to_be_bytes()).unwrap();
            assert!(is_closed(agent.stream()), "{length}");
        }
    });
}

#[test]
fn a_client_that_speaks_another_protocol_is_closed() {
    with_signer(|signer| {
        let mut stream = Stream::connect(signer).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert!(is_closed(&mut stream));
    });
}

#[test]
fn unknown_and_malformed_messages_are_failures_and_the_session_goes_on() {
    with_signer(|signer| {
        let mut agent = Agent::connect(signer, &fixtures::token("ssh")).unwrap();
        // Add a key, remove all keys, an extension, a sign request cut short.
        for message in [&[17, 0, 0][..], &[19], &[27, 0, 0, 0, 1, b'x'], &[13, 0xff, 0xff, 0xff]] {
            agent.send(message).unwrap();
            assert_eq!(agent.receive().unwrap(), FAILURE, "{message:?}");
        }
        assert_eq!(agent.identities().unwrap(), 2);
    });
}

#[test]
fn silent_clients_do_not_keep_others_waiting() {
    with_signer(|signer| {
        let silent: Vec<Stream> = (0..200).map(|_| Stream::connect(signer).unwrap()).collect();
        let began = Instant::now();
        let mut agent = Agent::connect(signer, &fixtures::token("ssh")).unwrap();
        assert_eq!(agent.identities().unwrap(), 2);
        let waited = began.elapsed();
        assert!(waited < Duration::from_secs(2), "{waited:?}");
        drop(silent);
    });
}

#[test]
fn a_session_sees_no_key_that_its_token_does_not_name() {
    with_signer(|signer| {
        let mut agent = Agent::connect(signer, &fixtures::token("ssh")).unwrap();
        let blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
        let mut request = vec![13];
        request.extend(frame(blob));
        request.extend(frame(b"data"));
        request.extend([0; 4]);
        agent.send(&request).unwrap();
        assert_eq!(agent.receive().unwrap(), FAILURE);
    });
}

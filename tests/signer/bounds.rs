//! Clients that do not behave: none of them stops another.

use std::io::Write;
use std::time::{Duration, Instant};

use terok_shared::service::Service;
use terok_tests::agent::{Agent, frame};
use terok_tests::house::House;
use terok_tests::stream::Stream;

use crate::desk::Desk;

/// Far below any of the signer's own limits of time.
const SOON: Duration = Duration::from_secs(2);

#[track_caller]
fn others_are_served(desk: &Desk<'_>) {
    let began = Instant::now();
    assert_eq!(desk.client().identities().unwrap(), 2);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn two_hundred_silent_clients_stop_nobody() {
    let house = House::new();
    let desk = Desk::open(&house);
    let endpoint = desk.container.endpoint(Service::Signer);
    let silent: Vec<Stream> = (0..100).map(|_| Stream::connect(&endpoint).unwrap()).collect();
    let idle: Vec<Agent> = (0..100).map(|_| desk.client()).collect();
    others_are_served(&desk);
    drop((silent, idle));
}

#[test]
fn a_client_that_never_reads_stops_nobody() {
    let house = House::new();
    let desk = Desk::open(&house);
    let mut deaf: Vec<Agent> = (0..8).map(|_| desk.client()).collect();
    for client in &mut deaf {
        // More answers than both sockets' buffers hold: writing to such a client must not wait.
        client.stream().give_up_after(Some(Duration::from_secs(5))).unwrap();
        let request = frame(&[11]).repeat(4000);
        // Its own requests may well get stuck behind its unread answers.
        if let Stream::Unix(stream) = client.stream() {
            stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        }
        let _ = client.stream().write_all(&request);
    }
    others_are_served(&desk);
    drop(deaf);
}

#[test]
fn half_a_frame_from_many_clients_stops_nobody() {
    let house = House::new();
    let desk = Desk::open(&house);
    let mut half: Vec<Agent> = (0..100).map(|_| desk.client()).collect();
    for client in &mut half {
        client.stream().write_all(&(256u32 * 1024).to_be_bytes()).unwrap();
        client.stream().write_all(&[13; 1000]).unwrap();
    }
    others_are_served(&desk);
    drop(half);
}

#[test]
fn the_largest_request_is_answered_and_one_byte_more_is_not() {
    let house = House::new();
    let desk = Desk::open(&house);
    let mut client = desk.client();
    let mut request = vec![13];
    request.extend(frame(b"key"));
    request.extend(frame(&vec![0; 256 * 1024 - 1 - 7 - 4 - 4]));
    request.extend([0; 4]);
    assert_eq!(request.len(), 256 * 1024);
    client.send(&request).unwrap();
    assert_eq!(client.receive().unwrap(), [5]);
    client.stream().write_all(&(256u32 * 1024 + 1).to_be_bytes()).unwrap();
    assert!(client.receive().is_err());
    others_are_served(&desk);
}

//! From the supervisor's start to the first signature: with a passphrase to derive the key from,
//! and with the derived key at hand.

use std::fs;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use aws_lc_rs::pbkdf2;

use crate::house::{House, PASSPHRASE, Running};
use crate::load::request;

const STARTS: usize = 15;

pub(crate) fn report(house: &House) {
    println!("| first signature | median ms | worst ms | target |");
    println!("|---|---|---|---|");
    for (what, remembered, target) in [
        ("passphrase at hand, one key derivation", PASSPHRASE.to_owned(), "<= 150 ms"),
        ("derived key at hand", derived_key(house), "<= 15 ms"),
    ] {
        house.remember(&remembered);
        let mut times: Vec<Duration> = (0..STARTS).map(|_| first_signature(house)).collect();
        times.sort_unstable();
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let (median, worst) = (millis(times[STARTS / 2]), millis(times[STARTS - 1]));
        println!("| {what} | {median:.1} | {worst:.1} | {target} |");
    }
}

fn first_signature(house: &House) -> Duration {
    let began = Instant::now();
    let running = house.supervisor();
    first_signature_of(house, &running);
    began.elapsed()
}

pub(crate) fn first_signature_of(house: &House, running: &Running) {
    let [(_, blob), _] = house.keys();
    let request = request(&blob);
    running.contender().connect().and_then(|mut client| client.sign(&request)).unwrap();
}

/// What SQLCipher 4 derives from the passphrase and the first 16 bytes of the file, in the form in
/// which it takes a key instead (zetetic.net/sqlcipher/sqlcipher-api/#key).
fn derived_key(house: &House) -> String {
    let salt = fs::read(house.database()).unwrap()[..16].to_vec();
    let iterations = NonZeroU32::new(256_000).expect("not zero");
    let mut key = [0; 32];
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA512;
    pbkdf2::derive(algorithm, iterations, &salt, PASSPHRASE.as_bytes(), &mut key);
    format!("x'{}{}'", hex::encode(key), hex::encode(salt))
}

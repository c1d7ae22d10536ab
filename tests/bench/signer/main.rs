//! The signer beside OpenSSH's ssh-agent, with the same keys, in one run: signatures per second
//! and the 99th percentile, for kept and new connections; then how long the first signature takes
//! after a cold start.
//!
//! `make bench-signer`. The two take turns, so that what else the machine does hits both.

#![allow(clippy::unwrap_used, reason = "a benchmark says what it could not do by failing")]

mod contender;
mod house;
mod load;
mod start;

use std::time::Duration;

use contender::Contender;
use house::House;
use load::{Load, Measured};

const RUN: Duration = Duration::from_millis(1500);
const ROUNDS: usize = 5;

fn main() {
    let house = House::new();
    let ssh_agent = house.ssh_agent();
    let ours = house.supervisor();
    // The first request waits for the vault; from then on every process is there.
    start::first_signature_of(&house, &ours);
    let contenders = [ssh_agent.contender(), ours.contender()];
    println!(
        "| key | connections | | ssh-agent /s | ours /s | ratio | target | p99 µs | ours | \
         CPU µs | ours |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for (key, blob) in house.keys() {
        for threads in [1, 8] {
            for kept in [true, false] {
                let load = Load::of(&blob, threads, kept);
                row(key, &load, &contenders);
            }
        }
    }
    drop(ours);
    println!();
    start::report(&house);
}

fn row(key: &str, load: &Load, contenders: &[Contender; 2]) {
    let mut seen: [Vec<Measured>; 2] = [vec![], vec![]];
    for _ in 0..ROUNDS {
        for (contender, seen) in contenders.iter().zip(&mut seen) {
            seen.push(load.run(contender, RUN));
        }
    }
    let [theirs, ours] = seen.map(middle);
    let (kind, target) = match (load.kept, key) {
        (true, "ed25519") => ("kept", ">= 8.0 x".to_owned()),
        (true, _) => ("kept", ">= 2.5 x".to_owned()),
        (false, "ed25519") => ("new", ">= 3000/s".to_owned()),
        (false, _) => ("new", String::new()),
    };
    println!(
        "| {key} | {} | {kind} | {:.0} | {:.0} | {:.1} x | {target} | {:.0} | {:.0} | {:.0} | {:.0} |",
        load.threads,
        theirs.per_second,
        ours.per_second,
        ours.per_second / theirs.per_second,
        micros(theirs.p99),
        micros(ours.p99),
        micros(theirs.processor_time),
        micros(ours.processor_time),
    );
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The round in the middle by rate.
fn middle(mut rounds: Vec<Measured>) -> Measured {
    rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    rounds.swap_remove(rounds.len() / 2)
}

//! Many supervisors on one vault, and a token endpoint that takes each refresh token once.
//!
//! Real keepers and real brokers (`cargo build --workspace` beforehand); the test is every
//! container and the provider. `TEROK_TEST_REFRESH_ROUNDS` sets how often the login ends: 20 times
//! by default, 200 for the full proof.

// All of it is test code: what does not unwrap has failed.
#![allow(clippy::unwrap_used)]

mod provider;
mod supervisor;

use std::sync::Barrier;
use std::time::Duration;

use provider::Provider;
use supervisor::{House, Supervisor};

const SUPERVISORS: usize = 20;

fn rounds() -> usize {
    let asked = std::env::var("TEROK_TEST_REFRESH_ROUNDS");
    asked.map_or(20, |rounds| rounds.parse().expect("a number of rounds"))
}

#[test]
fn twenty_supervisors_spend_every_refresh_token_once() {
    let provider = Provider::start(Duration::ZERO);
    let house = House::with_login(&provider);
    let fleet: Vec<Supervisor> = (0..SUPERVISORS).map(|_| house.supervisor()).collect();
    for round in 1..=rounds() {
        provider.end_login();
        let together = Barrier::new(SUPERVISORS);
        std::thread::scope(|scope| {
            let requests: Vec<_> = fleet
                .iter()
                .map(|supervisor| {
                    scope.spawn(|| {
                        together.wait();
                        supervisor.get()
                    })
                })
                .collect();
            for request in requests {
                assert_eq!(request.join().unwrap(), 200, "round {round}: {}", logs(&fleet));
            }
        });
        assert_eq!(provider.reused(), 0, "round {round}: {}", logs(&fleet));
        assert_eq!(provider.renewed(), round, "round {round}: {}", logs(&fleet));
    }
    assert_eq!(house.refresh_token(), provider.refresh_token());
}

#[test]
fn a_keeper_killed_during_a_renewal_loses_nothing() {
    let provider = Provider::start(Duration::from_millis(600));
    let house = House::with_login(&provider);
    let mut first = house.supervisor();
    let second = house.supervisor();
    provider.end_login();
    std::thread::scope(|scope| {
        let request = scope.spawn({
            let door = first.door();
            move || door.get()
        });
        provider.wait_until_asked();
        first.restart_keeper();
        // Its lock fell with the keeper; the mark in the vault still holds others back.
        let other = scope.spawn(|| second.get());
        assert_eq!(request.join().unwrap(), 200, "{}", first.logs());
        assert_eq!(other.join().unwrap(), 200, "{}", second.logs());
    });
    assert_eq!((provider.reused(), provider.renewed()), (0, 1));
    assert_eq!(house.refresh_token(), provider.refresh_token());
}

#[test]
fn a_broker_killed_during_a_renewal_gives_the_lock_back() {
    // Its call is cut off before the endpoint has spent anything.
    let provider = Provider::start(Duration::from_millis(600));
    let house = House::with_login(&provider);
    let mut first = house.supervisor();
    let second = house.supervisor();
    provider.end_login();
    let door = first.door();
    let request = std::thread::spawn(move || door.try_get());
    provider.wait_until_asked();
    provider.forget_calls_under_way();
    first.restart_broker();
    assert_eq!(request.join().unwrap(), None);
    assert_eq!(first.get(), 200, "{}", first.logs());
    assert_eq!(second.get(), 200, "{}", second.logs());
    assert_eq!((provider.reused(), provider.renewed()), (0, 1));
}

fn logs(fleet: &[Supervisor]) -> String {
    fleet.iter().map(Supervisor::logs).collect()
}

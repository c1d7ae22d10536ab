//! Waiting for something to become true, with a bound and without guessing how long it takes.

use std::time::{Duration, Instant};

/// Generous: a slow machine must not fail a test whose claim is not about time.
pub const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `holds`, and says how long that took.
#[track_caller]
pub fn eventually(what: &str, holds: impl FnMut() -> bool) -> Duration {
    within(PATIENCE, what, holds)
}

/// The same with a bound of the caller's.
#[track_caller]
pub fn within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(PAUSE);
    }
    began.elapsed()
}

/// What `find` finds, once it does.
#[track_caller]
pub fn found<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let mut thing = None;
    eventually(what, || {
        thing = find();
        thing.is_some()
    });
    thing.expect("waited until it was found")
}

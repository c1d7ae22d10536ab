//! When it pays to look again instead of sleeping.
//!
//! Between two processes that answer each other within microseconds, being woken takes longer than
//! the work. So one looks again for a moment before it sleeps; but where that was in vain (a slow
//! key, a busy machine, nobody asks any more), it sleeps at once for the next few times, and for
//! twice as many after each further failure.

use std::time::{Duration, Instant};

/// Longest look. A signature with ed25519 and the way there and back take less.
const LIMIT: Duration = Duration::from_micros(60);
/// Times that are left out after a first failure, and at most.
const FIRST: u32 = 4;
const MOST: u32 = 512;

#[derive(Debug, Default)]
pub struct Linger {
    /// Times yet to be left out.
    left_out: u32,
    /// How many the next failure costs; none after a success.
    price: u32,
}

impl Linger {
    /// Until when to look, if at all now. What is found is then told to `found`, or that nothing
    /// was to `in_vain`.
    pub fn begin(&mut self) -> Option<Instant> {
        if self.left_out > 0 {
            self.left_out -= 1;
            return None;
        }
        Some(Instant::now() + LIMIT)
    }

    /// Found, but perhaps long after the limit: the processor was given to somebody else.
    pub fn found(&mut self, until: Instant) {
        match Instant::now() <= until {
            true => self.price = 0,
            false => self.in_vain(),
        }
    }

    pub fn in_vain(&mut self) {
        self.price = (2 * self.price).clamp(FIRST, MOST);
        self.left_out = self.price;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(linger: &mut Linger, times: usize) -> usize {
        (0..times).filter(|_| linger.begin().inspect(|_| linger.in_vain()).is_some()).count()
    }

    #[test]
    fn looks_in_vain_become_rare_and_a_success_makes_them_usual_again() {
        let mut linger = Linger::default();
        assert_eq!(tries(&mut linger, 1 + 4 + 1 + 8 + 1), 3);
        assert_eq!(tries(&mut linger, 10_000), 23, "one in 513 in the end");
        while linger.begin().is_none() {}
        linger.found(Instant::now() + LIMIT);
        assert!((0..100).all(|_| linger.begin().is_some()));
    }

    #[test]
    fn what_was_found_late_counts_as_a_failure() {
        let mut linger = Linger::default();
        let until = linger.begin().unwrap();
        std::thread::sleep(2 * LIMIT);
        linger.found(until);
        assert!(linger.begin().is_none());
    }
}

//! Fewer, larger turns while much data passes: the gate rests a moment before it waits for the
//! next event, as network cards do with interrupts. git writes and clients send in pieces of a few
//! kilobytes; woken for each of them the gate would spend more time on waking than on passing on.
//!
//! In: what transfers pass on. Out: a rest that is longer the less a turn had to do, as when git
//! unpacks a push more slowly than it comes.

use std::cell::Cell;
use std::time::Duration;

/// A transfer becomes a long one at this many bytes; what is shorter is never delayed.
const LONG: usize = 1024 * 1024;
/// What a turn should have to do: half of what the pipes hold, so that neither end stands still.
const TURN: usize = 512 * 1024;
const SHORTEST: Duration = Duration::from_micros(500);
/// Still not felt by whoever asks for something else meanwhile.
const LONGEST: Duration = Duration::from_millis(8);

thread_local! {
    /// The gate serves on one thread.
    static PACE: Pace = const { Pace::new() };
}

#[derive(Debug)]
struct Pace {
    long_transfers: Cell<usize>,
    /// Bytes since the last rest.
    passed: Cell<usize>,
    rest: Cell<Duration>,
}

impl Pace {
    const fn new() -> Self {
        Self { long_transfers: Cell::new(0), passed: Cell::new(0), rest: Cell::new(SHORTEST) }
    }

    /// How long to rest now.
    fn next(&self) -> Option<Duration> {
        let passed = self.passed.take();
        if self.long_transfers.get() == 0 {
            self.rest.set(SHORTEST);
            return None;
        }
        let rest = self.rest.get();
        self.rest.set(if passed < TURN {
            (rest * 2).min(LONGEST)
        } else {
            (rest / 2).max(SHORTEST)
        });
        Some(self.rest.get())
    }
}

/// Called whenever the gate has nothing to do but wait.
pub(crate) fn before_waiting() {
    if let Some(rest) = PACE.with(Pace::next) {
        std::thread::sleep(rest);
    }
}

/// One transfer in one direction.
#[derive(Debug, Default)]
pub(crate) struct Transfer {
    passed: usize,
}

impl Transfer {
    pub(crate) fn passed(&mut self, bytes: usize) {
        let was_long = self.is_long();
        self.passed = self.passed.saturating_add(bytes);
        PACE.with(|pace| {
            pace.passed.set(pace.passed.get().saturating_add(bytes));
            if !was_long && self.is_long() {
                pace.long_transfers.set(pace.long_transfers.get() + 1);
            }
        });
    }

    fn is_long(&self) -> bool {
        self.passed >= LONG
    }
}

impl Drop for Transfer {
    fn drop(&mut self) {
        if self.is_long() {
            PACE.with(|pace| pace.long_transfers.set(pace.long_transfers.get() - 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rest() -> Option<Duration> {
        PACE.with(Pace::next)
    }

    #[test]
    fn only_transfers_that_are_long_are_slowed_and_only_while_they_last() {
        let mut transfer = Transfer::default();
        transfer.passed(LONG - 1);
        assert_eq!(rest(), None);
        transfer.passed(1);
        transfer.passed(LONG);
        assert!(rest().is_some());
        drop(transfer);
        assert_eq!(rest(), None);
    }

    #[test]
    fn turns_with_little_to_do_come_less_often_and_those_with_much_more_often() {
        let mut transfer = Transfer::default();
        transfer.passed(LONG);
        assert_eq!(rest(), Some(SHORTEST));
        assert_eq!(rest(), Some(SHORTEST * 2));
        for _ in 0..8 {
            rest();
        }
        assert_eq!(rest(), Some(LONGEST));
        transfer.passed(TURN);
        assert_eq!(rest(), Some(LONGEST / 2));
    }
}

//! When a service that ended is started again: at once the first time, then ever later, and no
//! more when it has failed too often in a row or when trying again changes nothing.

use std::time::Duration;

use terok_shared::exit::Exit;

/// A service that ran this long was well: its next end is a first one again.
const WELL: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// One that served this long before it made room for its successor is not in a hurry.
const CALM: Duration = Duration::from_secs(1);
/// Ends in a row, the pauses between them 6.4 s together; what does not pass in that time is for
/// the operator.
pub(crate) const LIMIT: u32 = 9;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    After(Duration),
    /// It ended `LIMIT` times in a row.
    Failed,
    /// It cannot use what it is given.
    Unusable,
}

/// When the successor comes of a service that served and ended by its own will, because only another
/// process can have what the operator has changed. That is no failure, however often it happens.
pub(crate) fn succession(lived: Duration) -> Duration {
    if lived >= CALM { Duration::ZERO } else { FIRST_PAUSE }
}

/// What one service's ends so far amount to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Restarts {
    in_a_row: u32,
    pub(crate) total: u32,
}

impl Restarts {
    /// `status` is the exit status, `None` for a death by signal; `lived` the time since start.
    pub(crate) fn after(&mut self, status: Option<i32>, lived: Duration) -> Next {
        if status == Some(Exit::BadSidecar.code()) {
            return Next::Unusable;
        }
        if lived >= WELL {
            self.in_a_row = 0;
        }
        self.in_a_row += 1;
        let pause = match self.in_a_row {
            1 => Duration::ZERO,
            LIMIT.. => return Next::Failed,
            n => FIRST_PAUSE * (1 << (n - 2)),
        };
        self.total += 1;
        Next::After(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(5);

    #[test]
    fn the_first_end_is_answered_at_once() {
        assert_eq!(Restarts::default().after(None, SHORT), Next::After(Duration::ZERO));
    }

    #[test]
    fn pauses_grow_until_the_limit_is_reached() {
        let mut restarts = Restarts::default();
        let next: Vec<_> = (0..LIMIT).map(|_| restarts.after(Some(4), SHORT)).collect();
        assert_eq!(next[1], Next::After(FIRST_PAUSE));
        assert_eq!(next[2], Next::After(FIRST_PAUSE * 2));
        assert_eq!(next[7], Next::After(Duration::from_millis(3200)));
        assert_eq!(next[8], Next::Failed);
        assert_eq!(restarts.total, LIMIT - 1);
    }

    #[test]
    fn a_service_that_was_well_starts_over() {
        let mut restarts = Restarts::default();
        for _ in 1..LIMIT {
            restarts.after(Some(4), SHORT);
        }
        assert_eq!(restarts.after(None, WELL), Next::After(Duration::ZERO));
        assert_eq!(restarts.after(None, SHORT), Next::After(FIRST_PAUSE));
    }

    #[test]
    fn a_successor_comes_at_once_unless_one_follows_the_other() {
        assert_eq!(succession(CALM), Duration::ZERO);
        assert_eq!(succession(SHORT), FIRST_PAUSE);
    }

    #[test]
    fn a_bad_slice_is_not_tried_again() {
        assert_eq!(Restarts::default().after(Some(2), SHORT), Next::Unusable);
    }
}

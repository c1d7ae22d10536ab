//! When a service that ended is started again: at once the first time, then ever later, and never
//! when trying again changes nothing.

use std::time::Duration;

use terok_shared::exit::Exit;

/// A service that ran this long was well: its next end is a first one again.
const WELL: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    After(Duration),
    Never,
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
            return Next::Never;
        }
        if lived >= WELL {
            self.in_a_row = 0;
        }
        let pause = match self.in_a_row {
            0 => Duration::ZERO,
            n => FIRST_PAUSE.saturating_mul(1 << (n - 1).min(16)).min(LONGEST_PAUSE),
        };
        self.in_a_row += 1;
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
    fn pauses_grow_to_a_bound() {
        let mut restarts = Restarts::default();
        let pauses: Vec<_> = (0..40).map(|_| restarts.after(Some(4), SHORT)).collect();
        assert_eq!(pauses[1], Next::After(FIRST_PAUSE));
        assert_eq!(pauses[2], Next::After(FIRST_PAUSE * 2));
        assert_eq!(pauses[39], Next::After(LONGEST_PAUSE));
        assert_eq!(restarts.total, 40);
    }

    #[test]
    fn a_service_that_was_well_starts_over() {
        let mut restarts = Restarts::default();
        for _ in 0..5 {
            restarts.after(Some(4), SHORT);
        }
        assert_eq!(restarts.after(None, WELL), Next::After(Duration::ZERO));
    }

    #[test]
    fn a_bad_slice_is_not_tried_again() {
        assert_eq!(Restarts::default().after(Some(2), SHORT), Next::Never);
    }
}

//! How many lines one program may write: what is over the limit of a time window is counted, and
//! the count is the next window's first line.

use std::time::{Duration, Instant};

/// A start, with every service restarted a few times, has about thirty.
const LINES: u32 = 200;
const WINDOW: Duration = Duration::from_secs(10);

/// Said with the last line that is written: the count follows only when somebody speaks again.
pub(super) const LAST: &str = "200 lines within 10 s: more of them are suppressed";

#[derive(Debug, Default)]
pub(super) struct Flood {
    began: Option<Instant>,
    lines: u32,
    suppressed: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Write,
    /// This many were lost in the window before.
    WriteAfter(u64),
    /// The window is full with this one.
    Last,
    Suppress,
}

impl Flood {
    pub(super) fn judge(&mut self, now: Instant) -> Verdict {
        if self.began.is_none_or(|began| now.duration_since(began) >= WINDOW) {
            self.began = Some(now);
            self.lines = 0;
        }
        self.lines = self.lines.saturating_add(1);
        match self.lines.cmp(&LINES) {
            std::cmp::Ordering::Less => match std::mem::take(&mut self.suppressed) {
                0 => Verdict::Write,
                lost => Verdict::WriteAfter(lost),
            },
            std::cmp::Ordering::Equal => Verdict::Last,
            std::cmp::Ordering::Greater => {
                self.suppressed += 1;
                Verdict::Suppress
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_limit_is_counted_and_told_once() {
        let (mut flood, now) = (Flood::default(), Instant::now());
        for _ in 1..LINES {
            assert_eq!(flood.judge(now), Verdict::Write);
        }
        assert_eq!(flood.judge(now), Verdict::Last);
        for _ in 0..7 {
            assert_eq!(flood.judge(now), Verdict::Suppress);
        }
        let later = now + WINDOW;
        assert_eq!(flood.judge(later), Verdict::WriteAfter(7));
        assert_eq!(flood.judge(later), Verdict::Write);
    }

    #[test]
    fn a_quiet_program_is_never_limited() {
        let (mut flood, now) = (Flood::default(), Instant::now());
        for n in 0..5 * LINES {
            let at = now + WINDOW / 100 * n;
            assert_eq!(flood.judge(at), Verdict::Write, "line {n}");
        }
    }

    #[test]
    fn the_words_name_the_limit() {
        assert!(LAST.contains(&LINES.to_string()) && LAST.contains(&WINDOW.as_secs().to_string()));
    }
}

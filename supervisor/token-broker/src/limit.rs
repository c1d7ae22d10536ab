//! A route's ceilings: requests and bytes in the last minute, and how many at a time.
//!
//! In: requests as they come, bytes as they move. Out: a permit to hold while a request runs, or
//! which ceiling it met and when to come back.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use terok_shared::routes::Limit;

/// Seconds that count, one slot each.
const WINDOW: usize = 60;

/// When to try again after too many at a time: some request will have ended.
const NEXT_SECOND: u64 = 1;

pub(crate) struct Limiter {
    limit: Limit,
    since: Instant,
    requests: RefCell<Window>,
    bytes: RefCell<Window>,
    /// Bytes moved and not yet in their window.
    moved: Meter,
    running: Cell<u64>,
}

/// Counts the bytes of bodies. A request's body must be fit to move between threads, though it
/// never does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Arc<AtomicU64>);

/// Held while a request or tunnel runs.
pub(crate) struct Permit(Rc<Limiter>);

/// A ceiling that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exceeded {
    /// As the table names it.
    pub(crate) ceiling: &'static str,
    /// Seconds.
    pub(crate) retry_after: u64,
}

impl Limiter {
    pub(crate) fn new(limit: Limit) -> Self {
        Self {
            limit,
            since: Instant::now(),
            requests: RefCell::default(),
            bytes: RefCell::default(),
            moved: Meter::default(),
            running: Cell::new(0),
        }
    }

    pub(crate) fn limit(&self) -> &Limit {
        &self.limit
    }

    /// For the bodies of a request; `None` when nobody counts.
    pub(crate) fn meter(&self) -> Option<Meter> {
        self.limit.bytes_per_minute.map(|_| self.moved.clone())
    }

    pub(crate) fn admit(self: &Rc<Self>, now: Instant) -> Result<Option<Permit>, Exceeded> {
        if self.limit == Limit::default() {
            return Ok(None);
        }
        let second = self.second(now);
        if self.limit.concurrent.is_some_and(|most| self.running.get() >= most) {
            return Err(Exceeded { ceiling: "concurrent", retry_after: NEXT_SECOND });
        }
        self.collect(second);
        let ceilings = [
            ("bytes_per_minute", self.limit.bytes_per_minute, &self.bytes),
            ("requests_per_minute", self.limit.requests_per_minute, &self.requests),
        ];
        for (ceiling, most, window) in ceilings {
            if let Some(most) = most
                && let Some(retry_after) = window.borrow_mut().wait(second, most)
            {
                return Err(Exceeded { ceiling, retry_after });
            }
        }
        self.requests.borrow_mut().add(second, 1);
        self.running.set(self.running.get() + 1);
        Ok(Some(Permit(Rc::clone(self))))
    }

    fn collect(&self, second: u64) {
        let moved = self.moved.0.swap(0, Ordering::Relaxed);
        if moved > 0 {
            self.bytes.borrow_mut().add(second, moved);
        }
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.since).as_secs()
    }
}

impl Meter {
    pub(crate) fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

impl Permit {
    pub(crate) fn meter(&self) -> Option<Meter> {
        self.0.meter()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.running.set(self.0.running.get() - 1);
        self.0.collect(self.0.second(Instant::now()));
    }
}

/// How much there was in each of the last seconds.
struct Window {
    slots: [u64; WINDOW],
    newest: u64,
    total: u64,
}

impl Default for Window {
    fn default() -> Self {
        Self { slots: [0; WINDOW], newest: 0, total: 0 }
    }
}

impl Window {
    fn add(&mut self, second: u64, amount: u64) {
        self.advance(second);
        self.slots[slot(self.newest)] += amount;
        self.total += amount;
    }

    /// Seconds until less than `most` is in the window; `None` when it is so now.
    fn wait(&mut self, second: u64, most: u64) -> Option<u64> {
        self.advance(second);
        let mut left = self.total;
        if left < most {
            return None;
        }
        for passed in 1..=WINDOW as u64 {
            // The slot that falls out of the window when this many seconds have passed.
            left -= self.slots[slot(self.newest + passed)];
            if left < most {
                return Some(passed);
            }
        }
        Some(WINDOW as u64)
    }

    fn advance(&mut self, second: u64) {
        let passed = second.saturating_sub(self.newest);
        for step in 1..=passed.min(WINDOW as u64) {
            let old = &mut self.slots[slot(self.newest + step)];
            self.total -= std::mem::take(old);
        }
        self.newest = self.newest.max(second);
    }
}

fn slot(second: u64) -> usize {
    (second % WINDOW as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn limiter(limit: Limit) -> Rc<Limiter> {
        Rc::new(Limiter::new(limit))
    }

    fn after(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[test]
    fn without_ceilings_there_is_nothing_to_hold() {
        let limiter = limiter(Limit::default());
        assert!(limiter.admit(after(0)).unwrap().is_none());
        assert!(limiter.meter().is_none());
    }

    #[test]
    fn no_minute_has_more_requests_than_the_ceiling() {
        let limiter = limiter(Limit { requests_per_minute: Some(3), ..Limit::default() });
        for second in [0, 10, 20] {
            assert!(limiter.admit(after(second)).is_ok());
        }
        let refused = limiter.admit(after(20)).err().unwrap();
        assert_eq!(refused, Exceeded { ceiling: "requests_per_minute", retry_after: 40 });
        assert!(limiter.admit(after(59)).is_err());
        assert!(limiter.admit(after(60)).is_ok());
        assert!(limiter.admit(after(61)).is_err());
        assert!(limiter.admit(after(500)).is_ok());
    }

    #[test]
    fn only_so_many_run_at_a_time() {
        let limiter = limiter(Limit { concurrent: Some(1), ..Limit::default() });
        let running = limiter.admit(after(0)).unwrap();
        assert_eq!(limiter.admit(after(0)).err().unwrap().ceiling, "concurrent");
        drop(running);
        assert!(limiter.admit(after(0)).is_ok());
    }

    #[test]
    fn bytes_of_the_last_minute_hold_the_next_request_back() {
        let limiter = limiter(Limit { bytes_per_minute: Some(100), ..Limit::default() });
        let running = limiter.admit(after(0)).unwrap();
        running.as_ref().unwrap().meter().unwrap().add(100);
        drop(running);
        let refused = limiter.admit(after(1)).err().unwrap();
        assert_eq!((refused.ceiling, refused.retry_after), ("bytes_per_minute", 59));
        assert!(limiter.admit(after(61)).is_ok());
    }
}

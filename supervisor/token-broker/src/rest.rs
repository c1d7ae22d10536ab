//! What to do when nobody asks anything for a while: give memory back to the kernel, and close
//! connections that wait for nothing. An idle service does not wake up for it.

use std::cell::Cell;
use std::convert::Infallible;
use std::time::Duration;

use terok_shared::sys::memory;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::table::Table;
use crate::upstream::IDLE;

/// Without a request for this long, the burst is over.
const QUIET: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(crate) struct Rest {
    requests: Cell<u64>,
    resting: Cell<bool>,
    disturbed: Notify,
}

impl Rest {
    /// A request has come.
    pub(crate) fn disturb(&self) {
        self.requests.set(self.requests.get().wrapping_add(1));
        if self.resting.replace(false) {
            self.disturbed.notify_one();
        }
    }

    /// Tidies up after each burst, for as long as the service runs.
    pub(crate) async fn tidy_up(&self, table: &Table) -> Infallible {
        loop {
            self.next_request().await;
            loop {
                self.quiet().await;
                tidy(table);
                if timeout(IDLE, self.next_request()).await.is_err() {
                    // What was kept for the next burst has waited in vain.
                    tidy(table);
                    break;
                }
            }
        }
    }

    async fn next_request(&self) {
        self.resting.set(true);
        self.disturbed.notified().await;
    }

    async fn quiet(&self) {
        loop {
            let before = self.requests.get();
            sleep(QUIET).await;
            if self.requests.get() == before {
                return;
            }
        }
    }
}

fn tidy(table: &Table) {
    table.sweep();
    memory::give_back();
}

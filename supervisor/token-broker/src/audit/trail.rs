//! The file behind the audit: whole lines, appended.
//!
//! A line is written at once, unless another was written a moment ago: those of a burst share a
//! write, since each would cost as much as a tenth of its request. A disk that is full costs lines
//! and one warning.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::fs::File;
use std::io::Write;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::sleep;

/// How long a line may wait for others.
const TOGETHER: Duration = Duration::from_millis(5);

/// Most bytes that wait.
const MAX_WAITING: usize = 32 * 1024;

pub(super) struct Trail {
    file: Option<File>,
    /// Whole lines.
    waiting: RefCell<Vec<u8>>,
    written: Cell<Option<Instant>>,
    /// Lines have begun to wait.
    begun: Notify,
    /// The last write was cut short, so the next line begins with a line break.
    torn: Cell<bool>,
    warned: Cell<bool>,
}

impl Trail {
    /// Without a file, lines go nowhere.
    pub(super) fn to(file: Option<File>) -> Self {
        Self {
            file,
            waiting: RefCell::default(),
            written: Cell::new(None),
            begun: Notify::new(),
            torn: Cell::new(false),
            warned: Cell::new(false),
        }
    }

    pub(super) fn add(&self, line: &impl Serialize, now: Instant) {
        if self.file.is_none() {
            return;
        }
        let mut waiting = self.waiting.borrow_mut();
        let first = waiting.is_empty();
        if first && self.torn.get() {
            waiting.push(b'\n');
        }
        serde_json::to_writer(&mut *waiting, line).expect("strings and numbers are JSON");
        waiting.push(b'\n');
        let enough = waiting.len() >= MAX_WAITING;
        drop(waiting);
        let lately = |written: Instant| now.saturating_duration_since(written) < TOGETHER;
        if enough || !self.written.get().is_some_and(lately) {
            self.write_waiting(now);
        } else if first {
            self.begun.notify_one();
        }
    }

    /// Writes lines that wait, for as long as the service runs.
    pub(super) async fn keep_written(&self) -> Infallible {
        loop {
            self.begun.notified().await;
            sleep(TOGETHER).await;
            self.write_waiting(Instant::now());
        }
    }

    fn write_waiting(&self, now: Instant) {
        let mut waiting = self.waiting.borrow_mut();
        let Some(mut file) = self.file.as_ref().filter(|_| !waiting.is_empty()) else { return };
        self.written.set(Some(now));
        // The parent opened the file for appending: one write is whole lines among other writers'.
        match file.write(&waiting) {
            Ok(written) => {
                self.torn.set(written < waiting.len());
                self.warned.set(false);
            }
            Err(why) => {
                if !self.warned.replace(true) {
                    log::warn!("write an audit line: {why}; requests go on");
                }
            }
        }
        waiting.clear();
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        self.write_waiting(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, SeekFrom};

    fn written(file: &mut File) -> String {
        let mut text = String::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_lone_line_is_written_at_once_and_those_of_a_burst_soon() {
        let mut file = tempfile::tempfile().unwrap();
        let trail = Trail::to(Some(file.try_clone().unwrap()));
        let began = Instant::now();
        trail.add(&1, began);
        assert_eq!(written(&mut file), "1\n");
        trail.add(&2, began);
        trail.add(&3, began);
        assert_eq!(written(&mut file), "1\n");
        trail.add(&4, began + TOGETHER);
        assert_eq!(written(&mut file), "1\n2\n3\n4\n");
    }

    #[test]
    fn what_waits_at_the_end_is_written() {
        let mut file = tempfile::tempfile().unwrap();
        let trail = Trail::to(Some(file.try_clone().unwrap()));
        let now = Instant::now();
        trail.add(&1, now);
        trail.add(&2, now);
        drop(trail);
        assert_eq!(written(&mut file), "1\n2\n");
    }

    #[test]
    fn a_file_that_cannot_be_written_stops_nobody() {
        let trail = Trail::to(Some(File::open("/dev/null").unwrap()));
        trail.add(&1, Instant::now());
        assert!(trail.warned.get());
        trail.add(&2, Instant::now());
    }
}

//! One form of log line for every program, on standard error: `time level program: message`.
//!
//! Under the hook standard error is the container's log file; by hand it is the terminal. A peer
//! that provokes line after line gets no further than `flood` lets it.

mod flood;

use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use log::LevelFilter;

use crate::container::{ContainerId, ContainerName};
use flood::{Flood, Verdict};

/// Overrides the level: `error`, `warn`, `info`, `debug` or `trace`.
pub const LEVEL_VARIABLE: &str = "TEROK_LOG";

/// The words by which a container's log says whose it is, for those who look for it by name.
pub fn title(name: &ContainerName, id: &ContainerId) -> String {
    format!("container {name} is {id}")
}

/// Starts logging as `program`, at `info` or what the environment says; call once, first thing in
/// `main`.
pub fn start(program: &'static str) {
    let level = std::env::var(LEVEL_VARIABLE).ok().and_then(|word| word.parse().ok());
    start_at(program, level.unwrap_or(LevelFilter::Info));
}

/// Starts logging as `program` at this level.
pub fn start_at(program: &'static str, level: LevelFilter) {
    // Whoever asks for more than `info` wants every line.
    let flood = (level <= LevelFilter::Info).then(Mutex::<Flood>::default);
    let started = env_logger::Builder::new()
        .filter_level(level)
        // Libraries speak of addresses and headers at these levels; our own words suffice.
        .filter_module("hyper", LevelFilter::Warn.min(level))
        .filter_module("rustls", LevelFilter::Warn.min(level))
        .format(move |line, record| {
            let verdict = flood.as_ref().map_or(Verdict::Write, |flood| {
                flood.lock().unwrap_or_else(PoisonError::into_inner).judge(Instant::now())
            });
            let now = line.timestamp();
            match verdict {
                Verdict::Write => {}
                Verdict::WriteAfter(suppressed) => {
                    writeln!(line, "{now} WARN  {program}: {suppressed} lines suppressed")?;
                }
                Verdict::Last => {
                    writeln!(line, "{now} {:<5} {program}: {}", record.level(), record.args())?;
                    return writeln!(line, "{now} WARN  {program}: {}", flood::LAST);
                }
                Verdict::Suppress => return Ok(()),
            }
            writeln!(line, "{now} {:<5} {program}: {}", record.level(), record.args())
        })
        .try_init();
    debug_assert!(started.is_ok(), "logging was started twice");
}

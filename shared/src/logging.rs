//! One form of log line for every program, on standard error: `time level program: message`.
//!
//! Under the hook standard error is the container's log file; by hand it is the terminal.

use std::io::Write;

use log::LevelFilter;

/// Overrides the level: `error`, `warn`, `info`, `debug` or `trace`.
pub const LEVEL_VARIABLE: &str = "TEROK_LOG";

/// Starts logging as `program`; call once, first thing in `main`.
pub fn start(program: &'static str) {
    let level = std::env::var(LEVEL_VARIABLE)
        .ok()
        .and_then(|word| word.parse().ok())
        .unwrap_or(LevelFilter::Info);
    let started = env_logger::Builder::new()
        .filter_level(level)
        // Libraries speak of addresses and headers at these levels; our own words suffice.
        .filter_module("hyper", LevelFilter::Warn.min(level))
        .filter_module("rustls", LevelFilter::Warn.min(level))
        .format(move |line, record| {
            let now = line.timestamp();
            writeln!(line, "{now} {:<5} {program}: {}", record.level(), record.args())
        })
        .try_init();
    debug_assert!(started.is_ok(), "logging was started twice");
}

//! Ages: of a process, from its start time; in words, as short as a table wants them.

use std::fs;
use std::time::Duration;

use jiff::Timestamp;
use nix::unistd::{SysconfVar, sysconf};
use terok_shared::process::Process;

/// How long ago it started, by the kernel's clock; `None` where proc(5) is not readable.
pub(super) fn age(process: Process) -> Option<Duration> {
    let ticks_per_second = u64::try_from(sysconf(SysconfVar::CLK_TCK).ok()??).ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let up: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
    let started = Duration::from_secs(process.started() / ticks_per_second.max(1));
    Some(Duration::from_secs_f64(up.max(0.0)).saturating_sub(started))
}

/// When that was, in UTC; for comparing with time stamps in files.
pub(super) fn since(age: Duration) -> Timestamp {
    let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(Timestamp::now().as_second().saturating_sub(age)).unwrap_or_default()
}

/// `7s`, `5m`, `3h`, `12d`.
pub(super) fn words(age: Duration) -> String {
    match age.as_secs() {
        s @ ..60 => format!("{s}s"),
        s @ ..3600 => format!("{}m", s / 60),
        s @ ..86400 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_one_unit() {
        let told = [0, 59, 60, 3599, 3600, 86399, 86400, 8640000].map(Duration::from_secs);
        let told = told.map(words);
        assert_eq!(told, ["0s", "59s", "1m", "59m", "1h", "23h", "1d", "100d"]);
    }

    #[test]
    fn this_process_is_young() {
        let age = age(Process::current().unwrap()).unwrap();
        assert!(age < Duration::from_secs(600), "{age:?}");
    }
}

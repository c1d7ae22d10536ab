//! Saying why no container is made, where the caller looks: on standard error, and in the log file
//! that containerd, Docker and podman read a runtime's failure from.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;

use serde_json::json;
use terok_shared::exit::Exit;

use crate::command_line::Log;

pub(crate) fn refuse(why: &str, log: Option<&Log>) -> ExitCode {
    let why = format!("terok-runtime: {}", why.replace('\n', "; "));
    // Nothing is left to say when nobody listens.
    let _ = writeln!(std::io::stderr(), "{why}");
    if let Some(log) = log {
        let file = OpenOptions::new().append(true).create(true).open(&log.file);
        let _ = file.and_then(|mut file| file.write_all(line(&why, log.json).as_bytes()));
    }
    Exit::Refused.into()
}

/// A line of the kind that logrus, runc's own logger, writes.
fn line(why: &str, json: bool) -> String {
    let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    if json {
        format!("{}\n", json!({"level": "error", "msg": why, "time": time}))
    } else {
        format!("time={time:?} level=error msg={why:?}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containerd_finds_the_reason_in_the_last_line_of_level_error() {
        let value: serde_json::Value = serde_json::from_str(&line("x \"y\"", true)).unwrap();
        assert_eq!(
            (value["level"].as_str(), value["msg"].as_str()),
            (Some("error"), Some("x \"y\""))
        );
        assert!(line("x \"y\"", false).contains(r#"level=error msg="x \"y\"""#));
    }
}

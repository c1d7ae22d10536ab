//! Why a container is refused, said where podman looks: crun gives its hooks no standard error.
//!
//! crun itself writes an error to two places: the log that podman named (`--log`,
//! `--log-format=json`) and its own standard error, which conmon reads. podman shows the log's if it
//! is the only one there, and otherwise what came by conmon (libpod, `readConmonPipeData`). So the
//! reason goes to both, ahead of crun's own error, which names the hook and no more. A runtime that
//! gives us a standard error has the diary's lines from there.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::makedev;
use nix::unistd::getppid;
use serde_json::json;
use terok_hook::diary::one_line;
use terok_shared::process::Process;

/// Trouble here costs the words and nothing else: the refusal stands.
pub(crate) fn say(reason: &str) {
    let Ok(true) = stderr().map(|facts| is_null_device(&facts)) else { return };
    let runtime = getppid().as_raw();
    let words = format!("terok: {}", one_line(reason));
    let log = Process::of(runtime).and_then(Process::arguments).ok().and_then(json_log);
    if let Some(log) = log {
        let line =
            json!({ "level": "error", "msg": words, "time": jiff::Timestamp::now().to_string() });
        append(&log, &line.to_string(), libc::O_NOFOLLOW);
    }
    append(Path::new(&format!("/proc/{runtime}/fd/2")), &words, libc::O_NOCTTY);
}

fn stderr() -> io::Result<Metadata> {
    File::from(io::stderr().as_fd().try_clone_to_owned()?).metadata()
}

/// null(4).
fn is_null_device(facts: &Metadata) -> bool {
    facts.rdev() == makedev(1, 3)
}

/// Never waits for who reads there, as nobody may.
fn append(path: &Path, line: &str, flags: libc::c_int) {
    let file = OpenOptions::new().append(true).custom_flags(flags | libc::O_NONBLOCK).open(path);
    let _ = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
}

/// The runtime's log, if it holds JSON, from the runtime's arguments.
fn json_log(arguments: Vec<Vec<u8>>) -> Option<PathBuf> {
    let value = |option: &str| {
        let mut words = arguments.iter();
        words
            .find_map(|word| match word.strip_prefix(option.as_bytes())? {
                [] => Some(None),
                [b'=', value @ ..] => Some(Some(value.to_vec())),
                _ => None,
            })?
            .or_else(|| words.next().cloned())
    };
    let log = PathBuf::from(std::ffi::OsString::from_vec(value("--log")?));
    (value("--log-format")? == b"json" && log.is_absolute()).then_some(log)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_in(line: &str) -> Option<PathBuf> {
        json_log(line.split(' ').map(|word| word.as_bytes().to_vec()).collect())
    }

    #[test]
    fn the_log_is_found_however_its_options_are_written() {
        let log = Some(PathBuf::from("/c/oci-log"));
        assert_eq!(
            log_in("/usr/bin/crun --log-format=json --log /c/oci-log create --bundle /b x"),
            log
        );
        assert_eq!(log_in("crun --log=/c/oci-log --log-format json create x"), log);
        for other in [
            "crun create x",
            "crun --log /c/oci-log create x",
            "crun --log-format=text --log=/c/oci-log create x",
            "crun --log-format=json --log=oci-log create x",
            "crun --log-format=json --log",
        ] {
            assert_eq!(log_in(other), None, "{other}");
        }
    }

    #[test]
    fn only_the_null_device_is_taken_for_no_standard_error() {
        let facts = |path: &str| File::open(path).unwrap().metadata().unwrap();
        assert!(is_null_device(&facts("/dev/null")));
        assert!(!is_null_device(&facts("/dev/zero")));
        assert!(!is_null_device(&facts("/proc/self/exe")));
    }
}

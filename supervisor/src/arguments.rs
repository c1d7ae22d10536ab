//! The command line: what the hook passes, and the one option needed by hand.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use terok_shared::annotation::SidecarPath;
use terok_shared::container::ContainerId;

const USAGE: &str = "\
Serves one container as its sidecar says, until the container ends or SIGTERM arrives.

usage: terok-supervisor --sidecar PATH [--container-id ID] [--container-pid PID]

  --sidecar PATH        <state root>/sidecar/<name>.json
  --container-id ID     names the pid file, <state root>/pids/supervisor-<ID>.pid
  --container-pid PID   the container's init; its death ends the supervisor
  --version             prints the version

environment: TEROK_LOG=error|warn|info|debug|trace
exit status: 0 clean, 2 unusable sidecar, 3 nothing could be started";

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) sidecar: SidecarPath,
    pub(crate) container_id: Option<ContainerId>,
    pub(crate) container_pid: Option<i32>,
    /// Where the hook waits to hear that the listeners are bound.
    pub(crate) readiness_fd: Option<RawFd>,
}

#[derive(Debug)]
pub(crate) enum Parsed {
    Run(Arguments),
    Print(String),
    Wrong(String),
}

impl Parsed {
    pub(crate) fn readiness_fd(&self) -> Option<RawFd> {
        match self {
            Self::Run(arguments) => arguments.readiness_fd,
            _ => None,
        }
    }
}

pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Parsed {
    match options(arguments) {
        Ok(parsed) => parsed,
        Err(why) => Parsed::Wrong(format!("{why}\nhint: run terok-supervisor --help")),
    }
}

fn options(mut arguments: impl Iterator<Item = OsString>) -> Result<Parsed, String> {
    let (mut sidecar, mut id, mut pid, mut readiness_fd) = (None, None, None, None);
    while let Some(option) = arguments.next() {
        let option = text(option)?;
        match option.as_str() {
            "--help" | "-h" => return Ok(Parsed::Print(USAGE.to_owned())),
            "--version" => {
                let version = concat!("terok-supervisor ", env!("CARGO_PKG_VERSION"));
                return Ok(Parsed::Print(version.to_owned()));
            }
            "--sidecar" | "--container-id" | "--container-pid" | "--readiness-fd" => {}
            other => return Err(format!("unknown argument `{other}`")),
        }
        let value = text(arguments.next().ok_or(format!("{option} needs a value"))?)?;
        let wrong = |why: &dyn std::fmt::Display| format!("{option} {value:?}: {why}");
        match option.as_str() {
            "--sidecar" => sidecar = Some(absolute(&value).map_err(|why| wrong(&why))?),
            "--container-id" => {
                id = Some(ContainerId::parse(&value).map_err(|why| wrong(&why))?);
            }
            "--container-pid" => pid = Some(positive(&value).ok_or_else(|| wrong(&"not a pid"))?),
            _ => {
                let fd = positive(&value).filter(|fd| *fd > 2);
                readiness_fd = Some(fd.ok_or_else(|| wrong(&"not a descriptor"))?);
            }
        }
    }
    let sidecar = sidecar.ok_or("--sidecar is missing")?;
    Ok(Parsed::Run(Arguments { sidecar, container_id: id, container_pid: pid, readiness_fd }))
}

fn text(argument: OsString) -> Result<String, String> {
    argument.into_string().map_err(|raw| format!("argument {raw:?} is not UTF-8"))
}

fn positive(value: &str) -> Option<i32> {
    value.parse().ok().filter(|number| *number > 0)
}

/// By hand a relative path is a convenience; the annotation's path must be absolute.
fn absolute(value: &str) -> Result<SidecarPath, String> {
    let path = PathBuf::from(value);
    let path = if path.is_absolute() {
        path
    } else {
        std::env::current_dir().map_err(|why| why.to_string())?.join(path)
    };
    let path = path.to_str().ok_or("not UTF-8")?.to_owned();
    SidecarPath::parse(&path).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &[&str]) -> Parsed {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn the_sidecar_alone_is_enough_by_hand() {
        let Parsed::Run(run) = parse_words(&["--sidecar", "/s/sidecar/w.json"]) else {
            panic!("not understood")
        };
        assert!(run.container_id.is_none() && run.container_pid.is_none());
    }

    #[test]
    fn what_the_hook_passes_is_understood() {
        let words =
            ["--sidecar", "/s/sidecar/w.json", "--container-id", "abc", "--container-pid", "7"];
        let Parsed::Run(run) = parse_words(&words) else { panic!("not understood") };
        assert_eq!(run.container_pid, Some(7));
        assert_eq!(run.container_id.unwrap().as_str(), "abc");
    }

    #[test]
    fn wrong_values_name_their_option() {
        let cases = [
            (vec!["--sidecar"], "--sidecar needs a value"),
            (vec!["--container-pid", "7"], "--sidecar is missing"),
            (vec!["--sidecar", "/s/x/w.json"], "directory named `sidecar`"),
            (vec!["--sidecar", "/s/sidecar/w.json", "--container-id", "../x"], "--container-id"),
            (vec!["--sidecar", "/s/sidecar/w.json", "--container-pid", "0"], "--container-pid"),
            (vec!["--nonsense"], "--nonsense"),
        ];
        for (words, part) in cases {
            let Parsed::Wrong(why) = parse_words(&words) else { panic!("accepted {words:?}") };
            assert!(why.contains(part), "{part} is not in {why}");
        }
    }
}

//! The command line of an OCI runtime, understood just far enough: is a container being made, and
//! where is its configuration.
//!
//! crun, runc and youki agree on `[OPTION…] COMMAND [OPTION…] ID` (runc(8), crun(1)), with a bundle
//! that is the working directory unless `--bundle` names one. Our own options, `--terok-…=VALUE`
//! before the command, are kept back; everything else is handed on as it came.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// What makes a container, and so runs createRuntime hooks.
const MAKERS: [&str; 3] = ["create", "run", "restore"];
/// Commands of today's runtimes; anything else after an option of ours unknown is its value.
const OTHERS: [&str; 16] = [
    "checkpoint",
    "delete",
    "events",
    "exec",
    "features",
    "info",
    "kill",
    "list",
    "mounts",
    "pause",
    "ps",
    "resume",
    "spec",
    "start",
    "state",
    "update",
];
/// Options before the command whose value is a word of its own.
const WITH_VALUE: [&str; 9] = [
    "--root",
    "--log",
    "--log-format",
    "--criu",
    "--rootless",
    "--cgroup-manager",
    "-r",
    "-l",
    "--log-level",
];
const OWN: &[u8] = b"--terok-";
const CONFIG: &str = "config.json";

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// For the real runtime: all but our own options.
    pub passed_on: Vec<OsString>,
    /// Our own options without their prefix, `key=value`.
    pub options: Vec<OsString>,
    /// The configuration of the container that is being made.
    pub config: Option<PathBuf>,
    /// Where the caller reads why the runtime failed.
    pub log: Option<Log>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Log {
    pub file: PathBuf,
    pub json: bool,
}

impl CommandLine {
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Self {
        let mut line = Self::default();
        let (mut command, mut previous) = (None, OsString::new());
        for argument in arguments {
            if command.is_none() {
                if let Some(own) = argument.as_bytes().strip_prefix(OWN) {
                    line.options.push(OsString::from_vec(own.to_vec()));
                    continue;
                }
                if is_command(&argument, &previous) {
                    command = Some(line.passed_on.len());
                }
            }
            line.passed_on.push(argument.clone());
            previous = argument;
        }
        let command = command.unwrap_or(line.passed_on.len());
        line.log = log(&line.passed_on[..command]);
        line.config = config(&line.passed_on[command..]);
        line
    }
}

/// Whether a word is the command and not an option or the value of one.
fn is_command(word: &OsStr, previous: &OsStr) -> bool {
    if is_option(word) || WITH_VALUE.iter().any(|option| *option == previous) {
        return false;
    }
    // The first word without a dash, but for the value of an option that we do not know.
    let known = || MAKERS.iter().chain(&OTHERS).any(|command| *command == word);
    !is_option(previous) || previous.as_bytes().contains(&b'=') || known()
}

fn is_option(word: &OsStr) -> bool {
    word.as_bytes().starts_with(b"-")
}

fn config(command: &[OsString]) -> Option<PathBuf> {
    let (command, arguments) = command.split_first()?;
    if !MAKERS.iter().any(|maker| maker == command) {
        return None;
    }
    // `--config` is crun's, and relative to the bundle.
    let bundle = value(arguments, &["--bundle", "-bundle", "-b"]).unwrap_or_default();
    let file = value(arguments, &["--config", "-f"]).unwrap_or_else(|| CONFIG.into());
    Some(Path::new(&bundle).join(file))
}

fn log(options: &[OsString]) -> Option<Log> {
    let file = value(options, &["--log", "-log", "-l"])?.into();
    let json = value(options, &["--log-format", "-log-format"]).is_some_and(|form| form == "json");
    Some(Log { file, json })
}

/// `NAME VALUE` or `NAME=VALUE`, the last one, up to a `--`.
fn value(words: &[OsString], names: &[&str]) -> Option<OsString> {
    let words = words.split(|word| word == "--").next()?;
    let mut found = None;
    for (at, word) in words.iter().enumerate() {
        for name in names {
            if word == name {
                found = words.get(at + 1).cloned().or(found);
            } else if let Some(rest) = word.as_bytes().strip_prefix(name.as_bytes())
                && let Some(value) = rest.strip_prefix(b"=")
            {
                found = Some(OsString::from_vec(value.to_vec()));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> CommandLine {
        CommandLine::parse(line.split_whitespace().map(OsString::from))
    }

    fn config_of(line: &str) -> Option<String> {
        parse(line).config.map(|path| path.to_str().unwrap().to_owned())
    }

    #[test]
    fn every_callers_way_to_name_a_bundle_is_understood() {
        for line in [
            // containerd's shim, and Docker through it
            "--root /run/x --log /b/log.json --log-format json create --bundle /b --pid-file /b/p id",
            "--root /run/x --log /b/log.json --log-format json --systemd-cgroup create --bundle /b id",
            // conmon
            "--cgroup-manager cgroupfs --rootless true create --bundle /b --pid-file /p id",
            "--log-format=json --log=/b/oci-log create --bundle=/b id",
            "run -b /b id",
            "run -b=/b id",
            "--debug run --console-socket /c -bundle /b id",
            "restore --bundle /b id",
            "create --config /b/config.json --bundle /elsewhere id",
            "create -f config.json id --bundle /b",
        ] {
            assert_eq!(config_of(line).as_deref(), Some("/b/config.json"), "{line}");
        }
    }

    #[test]
    fn without_a_bundle_it_is_the_working_directory() {
        assert_eq!(config_of("run id").as_deref(), Some("config.json"));
        assert_eq!(config_of("run id -- --bundle /b").as_deref(), Some("config.json"));
    }

    #[test]
    fn other_commands_make_no_container() {
        for line in [
            "",
            "--version",
            "start create",
            "exec id create --bundle /b",
            "state run",
            "spec --bundle /b",
            "--root create state id",
            "features",
            "delete --force run",
            "kill id run",
        ] {
            assert_eq!(config_of(line), None, "{line}");
        }
    }

    #[test]
    fn the_value_of_an_unknown_option_is_not_the_command() {
        assert_eq!(config_of("--new-one value create --bundle /b id").unwrap(), "/b/config.json");
        assert_eq!(config_of("--new-flag create --bundle /b id").unwrap(), "/b/config.json");
        assert_eq!(config_of("--new=x create --bundle /b id").unwrap(), "/b/config.json");
        assert_eq!(config_of("--new-one value state create"), None);
    }

    #[test]
    fn our_options_are_kept_back_and_the_rest_is_handed_on_in_order() {
        let line =
            parse("--terok-real-runtime=/usr/bin/crun --root /r create -b /b --terok-x=1 id");
        assert_eq!(line.options, ["real-runtime=/usr/bin/crun"]);
        assert_eq!(line.passed_on, ["--root", "/r", "create", "-b", "/b", "--terok-x=1", "id"]);
    }

    #[test]
    fn the_log_is_the_global_one() {
        let line = parse("--log /l --log-format json create --bundle /b --log /other id");
        assert_eq!(line.log, Some(Log { file: "/l".into(), json: true }));
        assert_eq!(parse("--log=/l create id").log.map(|log| log.json), Some(false));
        assert_eq!(parse("create id").log, None);
    }

    #[test]
    fn words_that_are_not_utf8_pass() {
        let odd = OsString::from_vec(b"/b\xff".to_vec());
        let words = ["create".into(), "--bundle".into(), odd.clone(), "id".into()];
        let line = CommandLine::parse(words.into_iter());
        assert_eq!(line.config, Some(Path::new(&odd).join("config.json")));
    }
}

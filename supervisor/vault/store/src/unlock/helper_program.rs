//! A program that prints a passphrase, or that makes something of one.
//!
//! In comes a command, perhaps with a passphrase for its standard input; out comes its standard
//! output, or why there is none. Output and time are bounded, and what the program says on stderr
//! is not kept: a helper that traces itself would put the passphrase into our log.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use terok_shared::secret::Secret;
use zeroize::Zeroize;

use super::{MAX_PASSPHRASE, passphrase_from};

/// How long a helper may take: it may have to ask a remote service.
pub(super) const TIME_LIMIT: Duration = Duration::from_secs(30);

/// Longest output of a filter, in bytes.
const MAX_FILTERED: usize = 64 * 1024;

/// A longest passphrase and its line end.
const MAX_PRINTED: usize = MAX_PASSPHRASE + 2;

/// Runs `command` and reads the passphrase it prints.
pub(super) fn read(command: Command) -> Result<Secret<String>, HelperError> {
    read_within(command, TIME_LIMIT)
}

/// Gives `command` a passphrase on its standard input and reads what it makes of it.
pub(super) fn filter(command: Command, input: &Secret<String>) -> Result<Vec<u8>, HelperError> {
    run(command, Some(input), TIME_LIMIT, MAX_FILTERED).map(|output| output.expose().clone())
}

fn read_within(command: Command, limit: Duration) -> Result<Secret<String>, HelperError> {
    let output = run(command, None, limit, MAX_PRINTED)?;
    passphrase_from(without_line_end(output)).map_err(HelperError::Unusable)
}

fn run(
    mut command: Command,
    input: Option<&Secret<String>>,
    limit: Duration,
    most: usize,
) -> Result<Secret<Vec<u8>>, HelperError> {
    let mut child = command
        .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(HelperError::Start)?;
    if let (Some(input), Some(mut stdin)) = (input, child.stdin.take()) {
        // A passphrase fits into the pipe. A program that does not read it fails by itself.
        let _ = stdin.write_all(input.expose().as_bytes());
    }
    let outcome = watch(&mut child, Instant::now() + limit, limit, most);
    if outcome.is_err() {
        // It may have ended by itself meanwhile; either way it is collected below.
        let _ = child.kill();
    }
    let status = child.wait().map_err(HelperError::Read)?;
    let output = outcome?;
    if !status.success() {
        return Err(HelperError::Failed { status: status.to_string() });
    }
    Ok(output)
}

/// Reads until the program has ended. Not until the pipe has: a helper may leave an agent
/// running in the background that holds the pipe for hours.
fn watch(
    child: &mut Child,
    deadline: Instant,
    limit: Duration,
    most: usize,
) -> Result<Secret<Vec<u8>>, HelperError> {
    let mut stdout = child.stdout.take().expect("stdout was piped");
    let ended = pidfd(child).map_err(HelperError::Read)?;
    // Full size from the start, so that growing leaves no copy of a secret behind.
    let mut output = Vec::with_capacity(most + 1);
    let mut open = true;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            output.zeroize();
            return Err(HelperError::TimedOut { limit });
        }
        let (readable, has_ended) =
            wait(&ended, open.then_some(&stdout), left).map_err(HelperError::Read)?;
        if readable {
            open = read_some(&mut stdout, &mut output, most).map_err(HelperError::Read)?;
            if output.len() > most {
                output.zeroize();
                return Err(HelperError::TooLong { most });
            }
        } else if has_ended {
            // Ended, and nothing left to read.
            return Ok(output.into());
        }
    }
}

/// Waits until there is something to read or the program has ended: `(readable, ended)`.
fn wait(ended: &OwnedFd, stdout: Option<&ChildStdout>, left: Duration) -> io::Result<(bool, bool)> {
    let mut watched = vec![PollFd::new(ended.as_fd(), PollFlags::POLLIN)];
    watched.extend(stdout.map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
    // Rounded up, so that the last millisecond is not spent spinning.
    let milliseconds = left.as_millis() as u64 + 1;
    let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
    match poll(&mut watched, timeout) {
        Err(Errno::EINTR) => return Ok((false, false)),
        other => other?,
    };
    let happened = |i: usize| watched.get(i).is_some_and(|fd| fd.any().unwrap_or(false));
    Ok((happened(1), happened(0)))
}

/// One read; `false` at the end of the pipe.
fn read_some(stdout: &mut ChildStdout, output: &mut Vec<u8>, most: usize) -> io::Result<bool> {
    let mut buffer = [0u8; 1024];
    let room = (most + 1 - output.len()).min(buffer.len());
    let count = match stdout.read(&mut buffer[..room]) {
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
        other => other?,
    };
    output.extend_from_slice(&buffer[..count]);
    buffer.zeroize();
    Ok(count > 0)
}

fn pidfd(child: &Child) -> io::Result<OwnedFd> {
    let pid = Pid::from_child(child);
    Ok(pidfd_open(pid, PidfdFlags::empty())?)
}

/// Spaces belong to the passphrase, the line end to the program.
fn without_line_end(output: Secret<Vec<u8>>) -> Secret<Vec<u8>> {
    let bytes = output.expose();
    let line_end = bytes.iter().rev().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
    bytes[..bytes.len() - line_end].to_vec().into()
}

/// Why a helper gave no passphrase. No variant holds the command's text.
#[derive(Debug)]
pub enum HelperError {
    Start(io::Error),
    Read(io::Error),
    TimedOut { limit: Duration },
    TooLong { most: usize },
    Failed { status: String },
    Unusable(&'static str),
}

impl fmt::Display for HelperError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "could not be started: {error}"),
            Self::Read(error) => write!(f, "could not be watched: {error}"),
            Self::TimedOut { limit } => write!(f, "did not end within {} s", limit.as_secs()),
            Self::TooLong { most } => write!(f, "printed more than {most} bytes"),
            Self::Failed { status } => write!(f, "failed with {status}"),
            Self::Unusable(what) => write!(f, "its output {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        command
    }

    fn read_text(script: &str) -> Result<String, String> {
        read_within(shell(script), Duration::from_secs(5))
            .map(|secret| secret.expose().clone())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_line_end_goes_and_spaces_stay() {
        assert_eq!(read_text("printf ' pass word \\n'").unwrap(), " pass word ");
        assert_eq!(read_text("printf 'pass\\r\\n'").unwrap(), "pass");
        assert_eq!(read_text("printf 'pass'").unwrap(), "pass");
        assert_eq!(read_text("printf 'two\\nlines\\n'").unwrap(), "two\nlines");
    }

    #[test]
    fn a_passphrase_in_pieces_is_read_whole() {
        assert_eq!(read_text("printf pa; sleep 0.05; printf ss").unwrap(), "pass");
    }

    #[test]
    fn a_failing_helper_gives_nothing_whatever_it_printed() {
        assert_eq!(read_text("echo pass; exit 3").unwrap_err(), "failed with exit status: 3");
        assert_eq!(read_text("kill -9 $$").unwrap_err(), "failed with signal: 9 (SIGKILL)");
    }

    #[test]
    fn empty_and_unreadable_output_is_refused() {
        assert_eq!(read_text("true").unwrap_err(), "its output is empty");
        assert_eq!(read_text("echo").unwrap_err(), "its output is empty");
        assert_eq!(read_text("printf '\\377'").unwrap_err(), "its output is not UTF-8");
        assert_eq!(
            read_text("head -c 100000 /dev/zero").unwrap_err(),
            "printed more than 4098 bytes"
        );
    }

    #[test]
    fn a_filter_reads_the_passphrase_and_its_output_is_not_cut() {
        let input = Secret::from("pass".to_owned());
        assert_eq!(filter(shell("cat; echo"), &input).unwrap(), b"pass\n");
        assert_eq!(filter(shell("exec <&-; echo x"), &input).unwrap(), b"x\n");
        let error = filter(shell("cat /dev/zero"), &input).unwrap_err();
        assert!(matches!(error, HelperError::TooLong { .. }), "{error}");
    }

    #[test]
    fn a_helper_that_hangs_is_killed() {
        let begin = Instant::now();
        let error = read_within(shell("exec sleep 20"), Duration::from_millis(200)).unwrap_err();
        assert!(matches!(error, HelperError::TimedOut { .. }), "{error}");
        assert!(begin.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn an_agent_left_in_the_background_does_not_hold_us_up() {
        let begin = Instant::now();
        assert_eq!(read_text("sleep 3 & echo pass").unwrap(), "pass");
        assert!(begin.elapsed() < Duration::from_secs(2));
    }
}

//! Starting a process that outlives us: its own session, nothing of ours but what it is given.
//!
//! The one place that runs code between fork and exec. Called while single-threaded.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

/// Spawns `command` as the leader of a new session (setsid(2)), with `handed` at descriptor
/// `number` and every other descriptor above standard error closed by the exec. The command's
/// environment, directory and standard streams are the caller's to set; `number` must be reserved
/// (`descriptors::reserve_up_to`) or `handed` itself.
pub fn spawn(mut command: Command, handed: BorrowedFd<'_>, number: RawFd) -> io::Result<Child> {
    let source = handed.as_raw_fd();
    // SAFETY: the closure runs in the forked child and makes only async-signal-safe system calls
    // on plain integers; it neither allocates nor takes a lock.
    unsafe {
        command.pre_exec(move || {
            if libc::setsid() == -1 {
                return Err(io::Error::last_os_error());
            }
            // Marked rather than closed: the standard library still reports an exec failure
            // through a descriptor of its own.
            let first = libc::STDERR_FILENO as libc::c_uint + 1;
            if libc::close_range(first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) == -1 {
                return Err(io::Error::last_os_error());
            }
            place(source, number)
        });
    }
    command.spawn()
}

/// Puts a copy of `source` at `number`, inheritable; on its own number it only loses CLOEXEC.
fn place(source: RawFd, number: RawFd) -> io::Result<()> {
    // SAFETY: dup2 and fcntl take numbers only; a wrong one is an error they report.
    let placed = unsafe {
        if source == number {
            libc::fcntl(number, libc::F_SETFD, 0)
        } else {
            libc::dup2(source, number)
        }
    };
    match placed {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

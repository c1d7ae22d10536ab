//! Inherited descriptors: taken over by number, or closed.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Closes every descriptor from `first` on (close_range(2)). Exists because a program must not
/// keep what its starter forgot to close.
///
/// Call it first thing in `main`, before anything owns a descriptor.
pub fn close_from(first: RawFd) -> io::Result<()> {
    let first = libc::c_uint::try_from(first).map_err(io::Error::other)?;
    // SAFETY: close_range takes numbers only; by the rule above nobody owns one of them yet.
    match unsafe { libc::close_range(first, libc::c_uint::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes ownership of a descriptor that the starter placed at `number`, and keeps it from what we
/// execute in turn. `EBADF` when nothing is there.
///
/// Each number is taken once, in `main`.
pub fn take(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_SETFD touches no memory; it fails on a number that is not open.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the number is open, and by the rule above nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Occupies every free number up to `last`, until the answer is dropped.
///
/// Exists because a spawned child receives descriptors at fixed low numbers, and the standard
/// library's own pipe for exec failures must not sit on one of them.
pub fn reserve_up_to(last: RawFd) -> io::Result<Vec<File>> {
    let mut held = Vec::new();
    loop {
        let file = File::open("/dev/null")?;
        if file.as_raw_fd() > last {
            return Ok(held);
        }
        held.push(file);
    }
}

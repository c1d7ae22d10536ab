//! Keeps what is secret out of swap: everything the keeper writes to, now and later, is locked as
//! it is used. Programs and libraries are not, because nothing secret is in them, and an ordinary
//! user may lock a few megabytes.

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use terok_shared::sys::memory;

/// What the keeper may come to need beyond what it has: decoded keys, the database's page cache, a
/// message of full size. With less to spare, locking what comes would make it fail.
const ROOM: u64 = 5 * 1024 * 1024;

#[derive(Debug)]
pub(crate) enum MemoryError {
    /// Bytes that would have to be lockable, and bytes that are.
    Limit {
        wanted: u64,
        limit: u64,
    },
    Maps(io::Error),
    Lock(io::Error),
}

/// Locks once the vault is open: what led there is in memory by then. The number of bytes.
pub(crate) fn lock() -> Result<u64, MemoryError> {
    let maps = fs::read_to_string("/proc/self/maps").map_err(MemoryError::Maps)?;
    let ranges: Vec<Range<usize>> = maps.lines().filter_map(writable).collect();
    let bytes = ranges.iter().map(|range| range.len() as u64).sum();
    let (limit, _) =
        getrlimit(Resource::RLIMIT_MEMLOCK).map_err(|errno| MemoryError::Lock(errno.into()))?;
    if limit != RLIM_INFINITY && limit < bytes + ROOM {
        return Err(MemoryError::Limit { wanted: bytes + ROOM, limit });
    }
    for range in ranges {
        memory::lock_when_used(range).map_err(MemoryError::Lock)?;
    }
    memory::lock_what_comes().map_err(MemoryError::Lock)?;
    Ok(bytes)
}

/// The addresses of a line of proc_pid_maps(5) that is private and written to. What the kernel
/// itself maps (`[vvar]` and its like) is not.
fn writable(line: &str) -> Option<Range<usize>> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    fields
        .next()
        .filter(|permissions| permissions.starts_with("rw") && permissions.ends_with('p'))?;
    let address = |digits| usize::from_str_radix(digits, 16).ok();
    Some(address(start)?..address(end)?)
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why: &dyn fmt::Display = match self {
            Self::Limit { wanted, limit } => {
                return write!(
                    f,
                    "secrets may be swapped out: {limit} bytes of memory can be locked, {wanted} \
                     are wanted\nhint: raise the limit `memlock` of the session"
                );
            }
            Self::Maps(why) | Self::Lock(why) => why,
        };
        write!(f, "secrets may be swapped out: lock memory: {why}")
    }
}

impl std::error::Error for MemoryError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heap_and_stack_are_locked_and_programs_are_not() {
        for (line, range) in [
            ("55aa000-55ab000 rw-p 00000000 00:00 0     [heap]", Some(0x55aa000..0x55ab000)),
            ("7ffe000-7fff000 rw-p 00000000 00:00 0     [stack]", Some(0x7ffe000..0x7fff000)),
            ("7f00000-7f01000 r-xp 00000000 08:01 3     /lib/libc.so.6", None),
            ("7f00000-7f01000 rw-s 00000000 08:01 3     /v/credentials.db-shm", None),
            ("7f00000-7f01000 r--p 00000000 00:00 0     [vvar]", None),
            ("nonsense", None),
        ] {
            assert_eq!(writable(line), range, "{line}");
        }
    }
}

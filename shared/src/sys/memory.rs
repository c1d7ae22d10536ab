//! Memory: kept out of swap (mlock(2)) page by page as it is first used, and given back when freed.

use std::io;
use std::ops::Range;

/// Locks the pages of this range of addresses as they are used. `ENOMEM` beyond the limit
/// (RLIMIT_MEMLOCK). Exists because locking all that a process maps, programs included, takes more
/// than an ordinary user may lock.
pub fn lock_when_used(addresses: Range<usize>) -> io::Result<()> {
    let flags = libc::MLOCK_ONFAULT as libc::c_uint;
    // SAFETY: locking changes where pages may be kept, never what is in them; the kernel refuses a
    // range that is not mapped.
    let locked =
        unsafe { libc::mlock2(addresses.start as *const libc::c_void, addresses.len(), flags) };
    answer(locked)
}

/// Locks what will be mapped from here on, as it is used. Beyond the limit mapping fails.
pub fn lock_what_comes() -> io::Result<()> {
    // SAFETY: this takes no address; see above.
    answer(unsafe { libc::mlockall(libc::MCL_FUTURE | libc::MCL_ONFAULT) })
}

fn answer(code: libc::c_int) -> io::Result<()> {
    match code {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Gives the pages of freed memory back to the kernel, which glibc keeps after a burst
/// (malloc_trim(3)). Other C libraries do so by themselves.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes the allocator's own locks, touches free memory alone, and its argument is the
    // number of bytes to leave at the top of the heap.
    unsafe {
        libc::malloc_trim(0);
    }
}

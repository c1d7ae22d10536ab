//! Memory: kept out of swap (mlock(2)) page by page as it is first used, and given back when freed
//! or no longer needed.

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

/// Unmaps the program's own code, which the start has left mapped. What runs from here on comes back
/// from the page cache at its first use, a fault for every 16 pages; the rest, all that only a start
/// needs, is memory that the kernel may take before any that is mapped.
pub fn unmap_code() {
    // SAFETY: the callback below matches the type, and keeps nothing.
    unsafe { libc::dl_iterate_phdr(Some(unmap_segments), std::ptr::null_mut()) };
}

/// Called for the program first (dl_iterate_phdr(3)); the answer ends it there.
unsafe extern "C" fn unmap_segments(
    info: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    _data: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: valid for the time of this call, says dl_iterate_phdr(3), as are the headers in it.
    let (base, headers) = unsafe {
        let info = &*info;
        (info.dlpi_addr, std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()))
    };
    for header in headers {
        let access = header.p_flags & (libc::PF_R | libc::PF_W | libc::PF_X);
        if header.p_type != libc::PT_LOAD || access != libc::PF_R | libc::PF_X {
            continue;
        }
        let (segment, length) = ((base + header.p_vaddr) as usize, header.p_memsz as usize);
        let start = segment - segment % page_size();
        // SAFETY: nobody writes to a segment without PF_W, so the file's pages are all there is to
        // it, and the same ones come back (madvise(2), MADV_DONTNEED of a file's mapping).
        unsafe { libc::madvise(start as *mut _, segment + length - start, libc::MADV_DONTNEED) };
    }
    1
}

/// The kernel maps whole pages.
fn page_size() -> usize {
    // SAFETY: takes no address.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    size.try_into().expect("every system has pages")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_goes_on_after_its_code_was_unmapped() {
        let resident = || {
            let text = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = text.lines().find(|line| line.starts_with("RssFile:")).unwrap();
            line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        };
        let before = resident();
        unmap_code();
        let after = resident();
        assert!(after < before, "{before} KiB of files were mapped, {after} still are");
    }
}

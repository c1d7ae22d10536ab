//! What this kernel's Landlock can do, asked without entering a lane.

use std::io;

/// `LANDLOCK_CREATE_RULESET_VERSION` of linux/landlock.h, which the libc crate lacks.
const VERSION: libc::c_uint = 1;

/// The Landlock interface of this kernel (landlock(7)), from 1 on.
///
/// # Errors
/// `ENOSYS` for a kernel built without it, `EOPNOTSUPP` for one that was booted without it.
pub fn abi() -> io::Result<i64> {
    // SAFETY: with this flag the kernel reads no memory, and wants the pointer to be null.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0usize,
            VERSION,
        )
    };
    match version {
        -1 => Err(io::Error::last_os_error()),
        version => Ok(version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_runs_our_services_has_an_interface() {
        assert!(abi().unwrap() >= 1);
    }
}

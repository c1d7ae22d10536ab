//! Who lives in a pid namespace (pid_namespaces(7)).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The pid inside `namespace` of the process that has `pid` here; `None` when it lives neither in
/// that namespace nor in one made inside it.
///
/// `namespace` is an open /proc/PID/ns/pid. Exists because this is the one way to learn where
/// another process lives without a right over it: reading /proc/PID/ns takes ptrace access, this
/// question (ioctl_nsfs(2), NS_GET_TGID_IN_PIDNS) takes the namespace. `ENOTTY` before Linux 6.11.
pub fn pid_inside(namespace: BorrowedFd<'_>, pid: i32) -> io::Result<Option<i32>> {
    // SAFETY: this request takes a number, touches no memory of ours, and fails with ENOTTY or
    // EINVAL on a descriptor of another kind.
    let inside = unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_TGID_IN_PIDNS, pid) };
    match inside {
        -1 => match io::Error::last_os_error() {
            why if why.raw_os_error() == Some(libc::ESRCH) => Ok(None),
            why => Err(why),
        },
        inside => Ok(Some(inside)),
    }
}

/// The namespace in which `namespace` was made; `None` for the first one, and for one whose maker
/// lives where we cannot look (ioctl_nsfs(2), NS_GET_PARENT).
///
/// Exists because a process inside a container may live in a namespace of its own there.
pub fn parent(namespace: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    // SAFETY: this request takes nothing, touches no memory of ours, and fails with ENOTTY or
    // EINVAL on a descriptor of another kind.
    match unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_PARENT) } {
        -1 => match io::Error::last_os_error() {
            why if why.raw_os_error() == Some(libc::EPERM) => Ok(None),
            why => Err(why),
        },
        // SAFETY: the kernel made this descriptor for us, close-on-exec; nobody else owns it.
        descriptor => Ok(Some(unsafe { OwnedFd::from_raw_fd(descriptor) })),
    }
}

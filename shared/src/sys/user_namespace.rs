//! Which user namespace another namespace belongs to (user_namespaces(7)).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// The user namespace that owns `namespace`, an open /proc/PID/ns/… (ioctl_nsfs(2)). Exists
/// because a right over a namespace is a right in its owner, which one may have to
/// enter first.
///
/// # Errors
/// `EPERM` when the owner is neither ours nor made below ours.
pub fn owner_of(namespace: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: this request takes no argument, touches no memory of ours, and fails with ENOTTY or
    // EINVAL on a descriptor of another kind.
    match unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_USERNS) } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the kernel made this descriptor for us a moment ago; nobody else owns it.
        owner => Ok(unsafe { OwnedFd::from_raw_fd(owner) }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn our_network_belongs_to_our_user_namespace_or_is_somebody_elses() {
        let network = File::open("/proc/self/ns/net").unwrap();
        match owner_of(network.as_fd()) {
            Ok(owner) => {
                let ours = File::open("/proc/self/ns/user").unwrap().metadata().unwrap();
                let owner = File::from(owner).metadata().unwrap();
                assert_eq!((owner.dev(), owner.ino()), (ours.dev(), ours.ino()));
            }
            Err(why) => assert_eq!(why.raw_os_error(), Some(libc::EPERM)),
        }
    }
}

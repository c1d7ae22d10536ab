//! A thread on which the kernel is an older one: what Linux 6.5 and 6.11 brought is refused to it
//! and to every process it starts, in the words of a kernel that never heard of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::thread;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use terok_shared::sys::pid_namespace;

/// SO_PEERPIDFD, on every architecture but parisc and sparc (asm/socket.h).
const SO_PEERPIDFD: u64 = 77;

/// Runs a test as Debian 12's Linux 6.1 would, as far as it concerns whose process a client is.
pub(crate) fn on_an_old_kernel(test: impl FnOnce() + Send) {
    thread::scope(|threads| {
        let old = threads.spawn(|| {
            refuse(libc::SYS_ioctl, 1, libc::NS_GET_TGID_IN_PIDNS, libc::ENOTTY);
            refuse(libc::SYS_getsockopt, 2, SO_PEERPIDFD, libc::ENOPROTOOPT);
            assert!(is_old(), "the filter does not hold");
            test();
        });
        if let Err(panic) = old.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn is_old() -> bool {
    let namespace = File::open("/proc/self/ns/pid").unwrap();
    let inside = pid_namespace::pid_inside(namespace.as_fd(), 1);
    inside.is_err_and(|why| why.raw_os_error() == Some(libc::ENOTTY))
}

/// The call whose argument of this place has this value.
fn refuse(call: i64, place: u8, value: u64, errno: i32) {
    let width = SeccompCmpArgLen::Dword;
    let condition = SeccompCondition::new(place, width, SeccompCmpOp::Eq, value).unwrap();
    let rules = BTreeMap::from([(call, vec![SeccompRule::new(vec![condition]).unwrap()])]);
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(errno.unsigned_abs()),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    apply_filter(&program).unwrap();
}

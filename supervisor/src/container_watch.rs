//! The container's life, told by the kernel: a pidfd of its init is readable when it has died.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use terok_shared::process::Process;

#[derive(Debug)]
pub(crate) struct ContainerWatch {
    process: Process,
    /// None on kernels before 5.3: the loop then looks at the start time now and again.
    pidfd: Option<OwnedFd>,
}

impl ContainerWatch {
    pub(crate) fn on(pid: i32) -> io::Result<Self> {
        let process = Process::of(pid)?;
        let pidfd = match process.open() {
            Ok(pidfd) => Some(pidfd),
            Err(why) if why.raw_os_error() == Some(libc::ENOSYS) => None,
            Err(why) => return Err(why),
        };
        Ok(Self { process, pidfd })
    }

    pub(crate) fn process(&self) -> Process {
        self.process
    }

    pub(crate) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    pub(crate) fn has_ended(&self) -> bool {
        !self.process.is_alive()
    }
}

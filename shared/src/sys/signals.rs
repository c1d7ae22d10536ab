//! A clean signal state: crun blocks every signal in its hooks, conmon ignores SIGPIPE, and both
//! mask and ignored dispositions survive execve(2).

use std::io;

/// Empties the signal mask and restores default dispositions, but keeps SIGPIPE ignored: a closed
/// peer is an error of the write, not a death. What we execute gets SIGPIPE's default back from
/// `std::process::Command`.
///
/// Call it first thing in `main`, before handlers exist.
pub fn reset() -> io::Result<()> {
    for signal in 1..=libc::SIGRTMAX() {
        // The kernel refuses these two, and glibc keeps 32 and 33 for itself.
        if matches!(signal, libc::SIGKILL | libc::SIGSTOP | 32 | 33) {
            continue;
        }
        let disposition = if signal == libc::SIGPIPE { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: SIG_DFL and SIG_IGN run no code of ours.
        unsafe { libc::signal(signal, disposition) };
    }
    // SAFETY: sigemptyset fills the set before it is read; sigprocmask reads only that.
    let emptied = unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut())
    };
    match emptied {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

//! Opening a sidecar that a possibly hostile annotation named.
//!
//! The file must be the operator's own: a regular file (no symbolic link, also not for its
//! directory), owned by our effective uid *inside the current user namespace* (a foreign host
//! user shows up as the overflow uid), not writable by group or other, of bounded size.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use nix::fcntl::{OFlag, open as open_at_path, openat};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;

use crate::annotation::SidecarPath;

/// Largest sidecar we read: a real one has about 700 bytes.
pub const MAX_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub enum OpenError {
    Open { path: PathBuf, why: io::Error },
    NotRegular { path: PathBuf },
    Symlink { path: PathBuf },
    Owner { path: PathBuf, owner: u32, expected: u32 },
    Writable { path: PathBuf, mode: u32 },
    TooLarge { path: PathBuf, bytes: u64 },
}

/// The sidecar's open file and its whole text, all checks passed.
pub fn read(sidecar: &SidecarPath) -> Result<(File, Vec<u8>), OpenError> {
    let file = open(sidecar)?;
    let mut text = Vec::new();
    (&file)
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut text)
        .map_err(|why| OpenError::Open { path: sidecar.as_path().to_owned(), why })?;
    Ok((file, text))
}

fn open(sidecar: &SidecarPath) -> Result<File, OpenError> {
    let path = || sidecar.as_path().to_owned();
    let failed = |errno: nix::Error| match errno {
        nix::Error::ELOOP => OpenError::Symlink { path: path() },
        errno => OpenError::Open { path: path(), why: errno.into() },
    };
    let (directory, name) = sidecar
        .as_path()
        .parent()
        .zip(sidecar.as_path().file_name())
        .expect("a sidecar path has a directory and a name");
    let directory = open_at_path(
        directory,
        OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    // With O_PATH a symbolic link opens as itself, and then is no directory (open(2)).
    .map_err(|errno| match errno {
        nix::Error::ENOTDIR => OpenError::Symlink { path: path() },
        errno => failed(errno),
    })?;
    // O_NONBLOCK: opening a FIFO must not wait for its writer.
    let file = openat(
        &directory,
        name,
        OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .map_err(failed)?;
    let file = File::from(file);
    judge(&file, path)?;
    Ok(file)
}

fn judge(file: &File, path: impl Fn() -> PathBuf) -> Result<(), OpenError> {
    let facts = file.metadata().map_err(|why| OpenError::Open { path: path(), why })?;
    let expected = geteuid().as_raw();
    if !facts.is_file() {
        return Err(OpenError::NotRegular { path: path() });
    }
    if facts.uid() != expected {
        return Err(OpenError::Owner { path: path(), owner: facts.uid(), expected });
    }
    if facts.mode() & 0o022 != 0 {
        return Err(OpenError::Writable { path: path(), mode: facts.mode() & 0o7777 });
    }
    if facts.len() > MAX_BYTES as u64 {
        return Err(OpenError::TooLarge { path: path(), bytes: facts.len() });
    }
    Ok(())
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { path, why } => write!(f, "open sidecar {}: {why}", path.display()),
            Self::NotRegular { path } => {
                write!(f, "open sidecar {}: not a regular file", path.display())
            }
            Self::Symlink { path } => {
                write!(f, "open sidecar {}: is reached through a symbolic link", path.display())
            }
            Self::Owner { path, owner, expected } => write!(
                f,
                "open sidecar {}: owned by uid {owner}, expected {expected}",
                path.display()
            ),
            Self::Writable { path, mode } => write!(
                f,
                "open sidecar {0}: mode {mode:04o} lets others write\nhint: run chmod 0600 {0}",
                path.display()
            ),
            Self::TooLarge { path, bytes } => {
                write!(f, "open sidecar {}: {bytes} bytes, at most {MAX_BYTES}", path.display())
            }
        }
    }
}

impl std::error::Error for OpenError {}

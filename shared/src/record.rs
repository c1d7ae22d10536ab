//! A file of ours that is replaced whole or not at all, and read only if it is ours.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::unistd::geteuid;

use crate::layout;

/// Writes the file (mode 0600) beside its place and puts it there by rename(2). Somebody killed
/// meanwhile leaves the draft, [`layout::draft`].
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_from(path, &mut &*bytes)
}

/// As `write`, with all that is left of `source`.
pub fn write_from(path: &Path, source: &mut impl Read) -> io::Result<()> {
    let draft = layout::draft(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&draft)?;
    let written = io::copy(source, &mut file).and_then(|_| fs::rename(&draft, path));
    if written.is_err() {
        // On a full disk the file is there, and empty.
        let _ = fs::remove_file(&draft);
    }
    written
}

/// Its first `most` bytes. A symbolic link, anything but a regular file, and a file of somebody
/// else's are errors.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    let facts = file.metadata()?;
    if !facts.is_file() || facts.uid() != geteuid().as_raw() {
        return Err(io::Error::other("not a regular file of ours"));
    }
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_content_stays_until_the_new_one_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("supervisor-abc.pid");
        write(&path, b"1").unwrap();
        write(&path, b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        write(&path, b"3").unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn what_is_no_file_of_ours_is_not_read_and_of_a_large_one_no_more_than_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        write(&path, b"0123456789").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"0123");
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for other in [&link, dir.path(), Path::new("/dev/null"), &dir.path().join("absent")] {
            read(other, 4).unwrap_err();
        }
    }
}

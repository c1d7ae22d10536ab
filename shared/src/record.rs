//! A file of ours that is replaced whole or not at all.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

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
}

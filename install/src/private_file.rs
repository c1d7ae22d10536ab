//! Files and directories that only the operator may read, written whole or not at all.
//!
//! A reader meets the old text or the new one. A link planted under the name is never written
//! through: a new file refuses it, a replacement takes its place.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// Whether a directory was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Directory {
    Made,
    WasThere,
}

/// Makes a directory (mode 0700, as every parent made on the way), or tightens the one that is
/// there.
///
/// # Errors
/// Something else of that name, also a symbolic link or a directory of another user.
pub(crate) fn make_directory(path: &Path) -> io::Result<Directory> {
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => return Ok(Directory::Made),
        Err(why) if why.kind() != io::ErrorKind::AlreadyExists => return Err(why),
        Err(_) => {}
    }
    let facts = fs::symlink_metadata(path)?;
    if !facts.is_dir() {
        return Err(io::Error::other("something that is no directory is in the way"));
    }
    if facts.uid() != geteuid().as_raw() {
        return Err(io::Error::other(format!("belongs to uid {}", facts.uid())));
    }
    if facts.mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(Directory::WasThere)
}

/// Writes a file (mode 0600) that must not exist yet: of two writers at once, one is refused.
///
/// # Errors
/// `AlreadyExists`, whatever it is that has the name; else what the kernel says.
pub(crate) fn create(path: &Path, contents: &[u8]) -> io::Result<()> {
    let unfinished = Unfinished::beside(path, contents)?;
    // Unlike rename(2), link(2) replaces nothing and follows nothing.
    fs::hard_link(&unfinished.0, path)
}

/// Writes a file (mode 0600) in place of whatever has the name.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let unfinished = Unfinished::beside(path, contents)?;
    fs::rename(&unfinished.0, path)
}

/// Removes a file. Returns whether there was one.
pub(crate) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(false),
        other => other.map(|()| true),
    }
}

/// Text complete on disk, under a name nobody looks for; gone with the value.
struct Unfinished(PathBuf);

impl Unfinished {
    fn beside(path: &Path, contents: &[u8]) -> io::Result<Self> {
        let mut random = [0u8; 8];
        getrandom::fill(&mut random).map_err(|why| io::Error::other(why.to_string()))?;
        let mut name = OsString::from(".");
        name.push(path.file_name().unwrap_or_default());
        name.push(format!(".{}", hex::encode(random)));
        let unfinished = Self(path.with_file_name(name));
        let mut file: File =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished.0)?;
        file.write_all(contents)?;
        file.sync_all()?;
        Ok(unfinished)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Absent after a rename.
        let _ = fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn files_are_private_and_leave_no_draft() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        create(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"two".to_vec(), 0o600));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(remove(&path).unwrap());
        assert!(!remove(&path).unwrap());
    }

    #[test]
    fn a_new_file_never_takes_anothers_place() {
        let dir = tempfile::tempdir().unwrap();
        let (path, target) = (dir.path().join("a"), dir.path().join("b"));
        create(&path, b"one").unwrap();
        assert_eq!(create(&path, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        remove(&path).unwrap();
        symlink(&target, &path).unwrap();
        assert_eq!(create(&path, b"two").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(!target.exists());
    }

    #[test]
    fn a_replacement_is_not_written_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (path, target) = (dir.path().join("a"), dir.path().join("b"));
        fs::write(&target, "precious").unwrap();
        symlink(&target, &path).unwrap();
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        assert!(!path.is_symlink());
    }

    #[test]
    fn directories_are_made_and_tightened() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x/y");
        assert_eq!(make_directory(&path).unwrap(), Directory::Made);
        assert_eq!(mode(&path), 0o700);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(make_directory(&path).unwrap(), Directory::WasThere);
        assert_eq!(mode(&path), 0o700);
    }

    #[test]
    fn a_link_in_a_directorys_place_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        symlink(dir.path(), dir.path().join("x")).unwrap();
        assert!(make_directory(&dir.path().join("x")).is_err());
    }
}

//! The session cache as a file, for readers that do not see the operator's keyring.
//!
//! In come the directories it may lie in and a database path; out comes the content of the file
//! named after it. The directory belongs below `$XDG_RUNTIME_DIR`: memory, private to the user,
//! gone with the session.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use terok_shared::secret::Secret;

use super::digest;
use crate::unlock::{Answer, MAX_PASSPHRASE, passphrase_from};

/// Reads the file from the first directory that has it. A file that somebody else could have
/// written or read is passed over, with a word why.
pub(in crate::unlock) fn ask(directories: &[PathBuf], db_path: &Path) -> Answer {
    let digest = match digest(db_path) {
        Ok(digest) => digest,
        Err(reason) => return Answer::Nothing(reason),
    };
    let mut reasons = Vec::new();
    for path in directories.iter().map(|directory| directory.join(&digest)) {
        match read(&path) {
            Ok(passphrase) => return Answer::Passphrase(passphrase),
            Err(reason) => reasons.push(format!("{}: {reason}", path.display())),
        }
    }
    Answer::Nothing(match reasons.is_empty() {
        true => "no session directory".to_owned(),
        false => reasons.join(", "),
    })
}

fn read(path: &Path) -> Result<Secret<String>, String> {
    // O_NONBLOCK: a FIFO in its place must not stop us.
    let flags = (nix::fcntl::OFlag::O_NOFOLLOW | nix::fcntl::OFlag::O_NONBLOCK).bits();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err("no such file".into()),
        Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ELOOP as i32) => {
            return Err("is a symbolic link".into());
        }
        other => other.map_err(|error| error.to_string())?,
    };
    refuse_foreign(&file)?;
    let mut bytes = Vec::with_capacity(MAX_PASSPHRASE + 1);
    let read = file.take(MAX_PASSPHRASE as u64 + 1).read_to_end(&mut bytes);
    let bytes = Secret::new(bytes);
    read.map_err(|error| error.to_string())?;
    if bytes.expose().len() > MAX_PASSPHRASE {
        return Err(format!("holds more than {MAX_PASSPHRASE} bytes"));
    }
    passphrase_from(bytes).map_err(str::to_owned)
}

/// Inside a rootless user namespace the operator is uid 0, and so is the owner of the file.
fn refuse_foreign(file: &File) -> Result<(), String> {
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    let (owner, we) = (metadata.uid(), nix::unistd::geteuid().as_raw());
    if !metadata.is_file() {
        return Err("not a regular file".into());
    }
    if owner != we {
        return Err(format!("owned by uid {owner}, expected {we}"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(format!("open to others with mode {:04o}", metadata.mode() & 0o7777));
    }
    Ok(())
}

/// Writes the file beside its name and renames it: a reader meets the old or the new passphrase,
/// and a link planted under the name is replaced, not followed.
pub(in crate::unlock) fn store(
    directory: &Path,
    db_path: &Path,
    passphrase: &Secret<String>,
) -> Result<(), String> {
    let path = directory.join(digest(db_path)?);
    let staged = path.with_extension(format!("{}.new", std::process::id()));
    let written = write_staged(directory, &staged, passphrase)
        .and_then(|()| fs::rename(&staged, &path))
        .map_err(|error| format!("write {}: {error}", path.display()));
    if written.is_err() {
        // Absent in the usual case that it could not be made.
        let _ = fs::remove_file(&staged);
    }
    written
}

fn write_staged(directory: &Path, staged: &Path, passphrase: &Secret<String>) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    // A crashed process of our number may have left one.
    match fs::remove_file(staged) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(staged)?;
    file.write_all(passphrase.expose().as_bytes())
}

/// Removes the file. That there is none is as good.
pub(super) fn remove(directory: &Path, db_path: &Path) -> Result<(), String> {
    let path = directory.join(digest(db_path)?);
    match fs::remove_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(|error| format!("remove {}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    struct Session {
        _home: tempfile::TempDir,
        directory: PathBuf,
        db_path: PathBuf,
    }

    impl Session {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            let directory = home.path().join("terok/vault-session");
            let db_path = home.path().join("credentials.db");
            Self { _home: home, directory, db_path }
        }

        fn path(&self) -> PathBuf {
            self.directory.join(digest(&self.db_path).unwrap())
        }

        fn ask(&self) -> Result<String, String> {
            match ask(std::slice::from_ref(&self.directory), &self.db_path) {
                Answer::Passphrase(found) => Ok(found.expose().clone()),
                Answer::Nothing(reason) => Err(reason),
                Answer::Broken(_) => panic!("a cache never closes the chain"),
            }
        }

        fn store(&self, text: &str) {
            store(&self.directory, &self.db_path, &text.to_owned().into()).unwrap();
        }
    }

    #[test]
    fn a_stored_passphrase_is_found_until_it_is_removed() {
        let session = Session::new();
        assert!(session.ask().unwrap_err().ends_with("no such file"));
        session.store("first ");
        session.store("second\n");
        assert_eq!(session.ask().unwrap(), "second\n");
        remove(&session.directory, &session.db_path).unwrap();
        assert!(session.ask().is_err());
        remove(&session.directory, &session.db_path).unwrap();
    }

    #[test]
    fn files_are_private_and_nothing_else_is_left() {
        let session = Session::new();
        session.store("x");
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o7777;
        assert_eq!(mode(&session.path()), 0o600);
        assert_eq!(mode(&session.directory), 0o700);
        assert_eq!(fs::read_dir(&session.directory).unwrap().count(), 1);
    }

    #[test]
    fn a_file_open_to_others_is_passed_over() {
        let session = Session::new();
        session.store("x");
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(session.path(), fs::Permissions::from_mode(mode)).unwrap();
            assert!(session.ask().unwrap_err().contains("open to others"), "{mode:o}");
        }
    }

    #[test]
    fn a_symlink_is_passed_over_and_replaced_by_the_next_write() {
        let session = Session::new();
        session.store("x");
        let target = session.directory.join("elsewhere");
        fs::rename(session.path(), &target).unwrap();
        symlink(&target, session.path()).unwrap();
        assert!(session.ask().unwrap_err().ends_with("is a symbolic link"));
        session.store("y");
        assert_eq!(session.ask().unwrap(), "y");
        assert_eq!(fs::read_to_string(target).unwrap(), "x");
    }

    #[test]
    fn empty_and_oversized_files_are_passed_over() {
        let session = Session::new();
        session.store("x");
        fs::write(session.path(), "").unwrap();
        assert!(session.ask().unwrap_err().ends_with("is empty"));
        fs::write(session.path(), vec![b'x'; MAX_PASSPHRASE + 1]).unwrap();
        assert!(session.ask().unwrap_err().contains("more than"));
    }

    #[test]
    fn a_file_of_another_user_is_passed_over() {
        if !nix::unistd::geteuid().is_root() {
            println!("skipped: only root can give a file away");
            return;
        }
        let session = Session::new();
        session.store("x");
        std::os::unix::fs::chown(session.path(), Some(12345), None).unwrap();
        assert!(session.ask().unwrap_err().contains("owned by uid 12345"));
    }

    #[test]
    fn later_directories_are_searched_too() {
        let session = Session::new();
        session.store("x");
        let directories = [PathBuf::from("/nonexistent"), session.directory.clone()];
        assert!(matches!(ask(&directories, &session.db_path), Answer::Passphrase(_)));
    }
}

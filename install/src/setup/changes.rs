//! Changes to files that can be taken back.
//!
//! A plan is a list of `Change`s, made without touching anything. `check` asks whether each could
//! work; a `Journal` then applies them one by one and, after a failure, undoes what it did. Every
//! file appears complete or not at all: written beside its place, synced, renamed over it. A
//! running program keeps its old inode.

use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, eaccess};

/// What is being written, before it is renamed into place.
const NEW: &str = "new";
/// What was there before, until the journal is committed.
const OLD: &str = "old";

/// One thing to do. Modes are permission bits, applied whatever the umask is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// Makes one directory; its parent exists or was made by an earlier change.
    MakeDir {
        path: PathBuf,
        mode: u32,
    },
    /// Gives a directory that exists these permission bits.
    SetMode {
        path: PathBuf,
        mode: u32,
    },
    /// Replaces or creates a file; its owner stays.
    Write {
        path: PathBuf,
        contents: Vec<u8>,
        mode: u32,
    },
    /// Replaces or creates a file from another one's bytes.
    Copy {
        from: PathBuf,
        to: PathBuf,
        mode: u32,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    RemoveFile {
        path: PathBuf,
    },
    /// Removes a directory, when everything else is done, unless something is in it.
    RemoveDirIfEmpty {
        path: PathBuf,
    },
}

/// A change that failed.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(super) doing: &'static str,
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.doing, self.path.display(), self.source)
    }
}

fn fault<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> Fault + 'a {
    move |source| Fault { doing, path: path.to_owned(), source }
}

impl Change {
    /// The directory in which an entry comes, goes or changes.
    fn directory(&self) -> &Path {
        let path = match self {
            Self::MakeDir { path, .. } | Self::Write { path, .. } => path,
            Self::RemoveFile { path } | Self::RemoveDirIfEmpty { path } => path,
            Self::Copy { to, .. } | Self::Rename { to, .. } => to,
            Self::SetMode { path, .. } => return path,
        };
        path.parent().unwrap_or(Path::new("/"))
    }
}

/// The directories to make so that `path` is one, the outermost first.
pub(super) fn make_dirs(path: &Path, mode: u32) -> Vec<Change> {
    let missing = path.ancestors().take_while(|p| !p.exists()).map(Path::to_owned);
    let mut changes: Vec<_> = missing.map(|path| Change::MakeDir { path, mode }).collect();
    changes.reverse();
    changes
}

/// Whether this process may write where each change happens (eaccess(3), so a file system that is
/// mounted read-only counts too). Finds most failures before anything was touched.
///
/// # Errors
/// The first directory that is not writable.
pub(super) fn check(changes: &[Change]) -> Result<(), Fault> {
    for change in changes {
        let existing = change.directory().ancestors().find(|p| p.exists());
        let directory = existing.expect("the root directory exists");
        eaccess(directory, AccessFlags::W_OK | AccessFlags::X_OK)
            .map_err(|errno| fault("write in", directory)(errno.into()))?;
    }
    Ok(())
}

/// How to take one applied change back.
enum Undo {
    RemoveFile(PathBuf),
    PutBack { kept: PathBuf, path: PathBuf },
    RemoveDir(PathBuf),
    SetMode { path: PathBuf, mode: u32 },
}

/// The changes applied so far. Ends with `commit` or `roll_back`.
#[derive(Default)]
pub(super) struct Journal {
    undos: Vec<Undo>,
    /// Directories to remove at the end: until then they hold the copies that an undo needs.
    emptied: Vec<PathBuf>,
}

impl Journal {
    /// Applies one change.
    ///
    /// # Errors
    /// The step that failed; what came before it stays until `roll_back`.
    pub(super) fn apply(&mut self, change: &Change) -> Result<(), Fault> {
        match change {
            Change::MakeDir { path, mode } => self.make_dir(path, *mode),
            Change::SetMode { path, mode } => self.set_mode(path, *mode),
            Change::Write { path, contents, mode } => {
                self.replace(path, *mode, |file| file.write_all(contents))
            }
            Change::Copy { from, to, mode } => self.replace(to, *mode, |file| {
                io::copy(&mut File::open(from)?, file)?;
                Ok(())
            }),
            Change::Rename { from, to } => self.rename(from, to),
            Change::RemoveFile { path } => self.remove_file(path),
            Change::RemoveDirIfEmpty { path } => {
                self.emptied.push(path.clone());
                Ok(())
            }
        }
    }

    /// Keeps what was done: drops the copies that an undo would have needed, and directories that
    /// are empty then. What stays behind is harmless, so it is worth a warning at most.
    pub(super) fn commit(self) {
        for undo in self.undos {
            if let Undo::PutBack { kept, .. } = undo
                && let Err(error) = fs::remove_file(&kept)
            {
                log::warn!("remove {}: {error}", kept.display());
            }
        }
        for directory in self.emptied {
            match fs::remove_dir(&directory).map_err(|error| error.kind()) {
                Ok(()) | Err(io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound) => {}
                Err(error) => log::warn!("remove directory {}: {error}", directory.display()),
            }
        }
    }

    /// Undoes everything, the last change first; goes on past failures and returns them.
    pub(super) fn roll_back(self) -> Vec<Fault> {
        self.undos.into_iter().rev().filter_map(|undo| take_back(undo).err()).collect()
    }

    fn make_dir(&mut self, path: &Path, mode: u32) -> Result<(), Fault> {
        fs::create_dir(path).map_err(fault("make directory", path))?;
        self.undos.push(Undo::RemoveDir(path.to_owned()));
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(fault("open up", path))
    }

    fn set_mode(&mut self, path: &Path, mode: u32) -> Result<(), Fault> {
        let before = fs::metadata(path).map_err(fault("examine", path))?.mode() & 0o7777;
        self.undos.push(Undo::SetMode { path: path.to_owned(), mode: before });
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(fault("open up", path))
    }

    fn replace(
        &mut self,
        path: &Path,
        mode: u32,
        fill: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), Fault> {
        let fresh = beside(path, NEW);
        let written = write_new(&fresh, path, mode, fill).map_err(fault("write", path));
        let placed = written.and_then(|()| {
            self.keep(path)?;
            fs::rename(&fresh, path).map_err(fault("replace", path))
        });
        if placed.is_err() {
            let _ = fs::remove_file(&fresh); // the failure that is reported came first
        }
        placed?;
        sync_directory(path)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> Result<(), Fault> {
        self.keep(to)?;
        self.keep(from)?;
        fs::rename(from, to).map_err(fault("rename", from))?;
        sync_directory(to)
    }

    fn remove_file(&mut self, path: &Path) -> Result<(), Fault> {
        self.keep(path)?;
        fs::remove_file(path).map_err(fault("remove", path))
    }

    /// Makes sure that `path` can become again what it is now: a second link to a file that is
    /// there, or a note that there was none.
    fn keep(&mut self, path: &Path) -> Result<(), Fault> {
        let kept = beside(path, OLD);
        let _ = fs::remove_file(&kept); // of a run that was killed
        let linked = match fs::hard_link(path, &kept) {
            // Some file systems have no hard links; a copy serves as well.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                fs::copy(path, &kept).map(drop)
            }
            linked => linked,
        };
        self.undos.push(match linked {
            Ok(()) => Undo::PutBack { kept, path: path.to_owned() },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Undo::RemoveFile(path.to_owned())
            }
            Err(error) => return Err(fault("keep a copy of", path)(error)),
        });
        Ok(())
    }
}

fn take_back(undo: Undo) -> Result<(), Fault> {
    match undo {
        Undo::PutBack { kept, path } => {
            fs::rename(&kept, &path).map_err(fault("put back", &path))?;
            // rename(2) does nothing when both names are links to one file.
            let _ = fs::remove_file(&kept);
            Ok(())
        }
        Undo::RemoveFile(path) => match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(fault("remove", &path)(error))
            }
            _ => Ok(()),
        },
        Undo::RemoveDir(path) => fs::remove_dir(&path).map_err(fault("remove directory", &path)),
        Undo::SetMode { path, mode } => fs::set_permissions(&path, Permissions::from_mode(mode))
            .map_err(fault("restore the mode of", &path)),
    }
}

/// The names beside a file that a killed process may leave.
pub(super) fn leftovers(path: &Path) -> [PathBuf; 2] {
    [beside(path, NEW), beside(path, OLD)]
}

/// A hidden name in the same directory, so that rename(2) stays within one file system. It ends
/// neither in `.json` nor in `.conf`: podman reads every such file of the directories concerned.
fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().expect("a change names a file").to_string_lossy();
    path.with_file_name(format!(".{name}.terokctl-{what}"))
}

fn write_new(
    fresh: &Path,
    replaces: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let _ = fs::remove_file(fresh); // of a run that was killed; create_new refuses anything else
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(fresh)?;
    fill(&mut file)?;
    if let Ok(old) = fs::metadata(replaces) {
        let ours = file.metadata()?;
        if (old.uid(), old.gid()) != (ours.uid(), ours.gid()) {
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
    }
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

fn sync_directory(path: &Path) -> Result<(), Fault> {
    let directory = path.parent().expect("a change names a file in a directory");
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(fault("sync", directory))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn write(path: &Path, contents: &str) -> Change {
        Change::Write { path: path.to_owned(), contents: contents.into(), mode: 0o644 }
    }

    #[test]
    fn a_reader_of_the_old_file_keeps_the_old_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("program");
        fs::write(&file, "old").unwrap();
        let open = File::open(&file).unwrap();
        let mut journal = Journal::default();
        journal.apply(&write(&file, "new")).unwrap();
        journal.commit();
        assert_eq!(io::read_to_string(open).unwrap(), "old");
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(entries(dir.path()), ["program"], "nothing is left beside it");
    }

    #[test]
    fn roll_back_restores_every_kind_of_change() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["replaced", "removed", "moved"] {
            fs::write(at(name), name).unwrap();
        }
        fs::create_dir(at("emptied")).unwrap();
        let mode = || fs::metadata(dir.path()).unwrap().mode() & 0o7777;
        let mode_before = mode();
        let mut journal = Journal::default();
        let changes = [
            write(&at("replaced"), "x"),
            write(&at("created"), "x"),
            Change::RemoveFile { path: at("removed") },
            Change::Rename { from: at("moved"), to: at("aside") },
            Change::MakeDir { path: at("made"), mode: 0o755 },
            Change::RemoveDirIfEmpty { path: at("emptied") },
            Change::SetMode { path: dir.path().to_owned(), mode: 0o711 },
        ];
        for change in &changes {
            journal.apply(change).unwrap();
        }
        assert!(at("aside").exists() && at("made").exists() && !at("removed").exists());
        assert!(journal.roll_back().is_empty());
        assert_eq!(entries(dir.path()), ["emptied", "moved", "removed", "replaced"]);
        for name in ["replaced", "removed", "moved"] {
            assert_eq!(fs::read_to_string(at(name)).unwrap(), name);
        }
        assert_eq!(mode(), mode_before);
    }

    #[test]
    fn only_a_directory_left_empty_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (theirs, ours) = (dir.path().join("theirs"), dir.path().join("ours"));
        for directory in [&theirs, &ours] {
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("file"), "").unwrap();
        }
        let mut journal = Journal::default();
        journal.apply(&Change::RemoveFile { path: ours.join("file") }).unwrap();
        for path in [theirs.clone(), ours] {
            journal.apply(&Change::RemoveDirIfEmpty { path }).unwrap();
        }
        journal.commit();
        assert_eq!(entries(dir.path()), ["theirs"]);
        assert!(theirs.join("file").exists());
    }

    #[test]
    fn a_failed_write_leaves_the_file_and_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("program");
        fs::write(&to, "old").unwrap();
        let change = Change::Copy { from: dir.path().join("absent"), to: to.clone(), mode: 0o755 };
        assert!(Journal::default().apply(&change).is_err());
        assert_eq!(fs::read_to_string(&to).unwrap(), "old");
        assert_eq!(entries(dir.path()), ["program"]);
    }
}

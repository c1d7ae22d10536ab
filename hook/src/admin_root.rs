//! `--only-below DIR`: where the annotation is written by somebody we do not trust, as the author
//! of a Kubernetes pod is, only sidecars below a directory of the administrator's count.
//!
//! In: that directory and the sidecar path the annotation names. Out: yes, or what is in the way.
//! Every directory from there down must be a real one of ours that nobody else can write, so what
//! was judged here is still what the supervisor opens a moment later.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::geteuid;
use terok_shared::annotation::SidecarPath;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminRoot(PathBuf);

#[derive(Debug, PartialEq, Eq)]
pub enum RootError {
    Relative(PathBuf),
}

#[derive(Debug)]
pub enum Refusal {
    Outside { sidecar: PathBuf, root: PathBuf },
    Directory { path: PathBuf, why: io::Error },
    Owner { path: PathBuf, owner: u32, expected: u32 },
    Writable { path: PathBuf, mode: u32 },
}

impl AdminRoot {
    /// # Errors
    /// The path is not absolute, or holds `..`.
    pub fn parse(path: PathBuf) -> Result<Self, RootError> {
        let plain = path.is_absolute() && !path.components().any(|c| c == Component::ParentDir);
        if plain { Ok(Self(path)) } else { Err(RootError::Relative(path)) }
    }

    pub fn as_path(&self) -> &Path {
        &self.0
    }

    /// Judges the words of the path alone; nothing is opened.
    pub fn contains(&self, sidecar: &SidecarPath) -> bool {
        sidecar.state_root().starts_with(&self.0)
    }

    /// Walks from the root to the sidecar's own directory.
    ///
    /// # Errors
    /// The sidecar is not below the root, or one of the directories could be changed by others.
    pub fn admits(&self, sidecar: &SidecarPath) -> Result<(), Refusal> {
        let directory = sidecar.as_path().parent().expect("a sidecar path has a directory");
        self.walk(sidecar, directory)
    }

    /// The same for its state root, once the sidecar may be gone.
    ///
    /// # Errors
    /// As for `admits`.
    pub fn admits_state_root(&self, sidecar: &SidecarPath) -> Result<(), Refusal> {
        self.walk(sidecar, sidecar.state_root())
    }

    fn walk(&self, sidecar: &SidecarPath, to: &Path) -> Result<(), Refusal> {
        let steps = match to.strip_prefix(&self.0) {
            Ok(steps) if self.contains(sidecar) => steps,
            _ => {
                let sidecar = sidecar.as_path().to_owned();
                return Err(Refusal::Outside { sidecar, root: self.0.clone() });
            }
        };
        let mut path = self.0.clone();
        // How the root itself is reached is the administrator's choice: links are followed.
        let mut here = judged(&path, enter(None, path.as_os_str()))?;
        for step in steps {
            path.push(step);
            here = judged(&path, enter(Some(&here), step))?;
        }
        Ok(())
    }
}

fn enter(from: Option<&OwnedFd>, name: &OsStr) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    match from {
        None => open(name, flags, Mode::empty()),
        Some(parent) => openat(parent, name, flags | OFlag::O_NOFOLLOW, Mode::empty()),
    }
}

fn judged(path: &Path, directory: nix::Result<OwnedFd>) -> Result<OwnedFd, Refusal> {
    let failed =
        |errno: nix::Error| Refusal::Directory { path: path.to_owned(), why: errno.into() };
    let directory = directory.map_err(failed)?;
    let facts = fstat(&directory).map_err(failed)?;
    let expected = geteuid().as_raw();
    if facts.st_uid != expected {
        return Err(Refusal::Owner { path: path.to_owned(), owner: facts.st_uid, expected });
    }
    if facts.st_mode & 0o022 != 0 {
        return Err(Refusal::Writable { path: path.to_owned(), mode: facts.st_mode & 0o7777 });
    }
    Ok(directory)
}

impl fmt::Display for RootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Relative(path) = self;
        write!(f, "directory {} is not an absolute path without `..`", path.display())
    }
}

impl std::error::Error for RootError {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside { sidecar, root } => write!(
                f,
                "sidecar {} is not below {}, the only place this node accepts",
                sidecar.display(),
                root.display()
            ),
            Self::Directory { path, why } => {
                write!(f, "directory {} of the sidecar: {why}", path.display())
            }
            Self::Owner { path, owner, expected } => write!(
                f,
                "directory {} of the sidecar: owned by uid {owner}, expected {expected}",
                path.display()
            ),
            Self::Writable { path, mode } => write!(
                f,
                "directory {0} of the sidecar: mode {mode:04o} lets others write\nhint: run chmod go-w {0}",
                path.display()
            ),
        }
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn house() -> (tempfile::TempDir, AdminRoot) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("admin");
        for path in ["", "a", "a/sidecar"] {
            fs::create_dir(root.join(path)).unwrap();
            fs::set_permissions(root.join(path), Permissions::from_mode(0o755)).unwrap();
        }
        (dir, AdminRoot::parse(root).unwrap())
    }

    fn sidecar(root: &AdminRoot, below: &str) -> SidecarPath {
        SidecarPath::parse(root.as_path().join(below).to_str().unwrap()).unwrap()
    }

    #[test]
    fn a_sidecar_below_the_root_is_admitted_and_one_outside_is_not() {
        let (_dir, root) = house();
        let inside = sidecar(&root, "a/sidecar/w.json");
        root.admits(&inside).unwrap();
        root.admits_state_root(&inside).unwrap();
        for outside in ["/other/sidecar/w.json", "/sidecar/w.json"] {
            let outside = SidecarPath::parse(outside).unwrap();
            assert!(matches!(root.admits(&outside), Err(Refusal::Outside { .. })));
            assert!(matches!(root.admits_state_root(&outside), Err(Refusal::Outside { .. })));
        }
    }

    #[test]
    fn a_name_that_only_begins_like_the_root_is_outside() {
        let root = AdminRoot::parse("/srv/terok".into()).unwrap();
        assert!(!root.contains(&SidecarPath::parse("/srv/terok-evil/sidecar/w.json").unwrap()));
        assert!(!root.contains(&SidecarPath::parse("/srv/sidecar/w.json").unwrap()));
        assert!(root.contains(&SidecarPath::parse("/srv/terok/sidecar/w.json").unwrap()));
    }

    #[test]
    fn a_symbolic_link_below_the_root_leads_nowhere() {
        let (dir, root) = house();
        fs::create_dir_all(dir.path().join("elsewhere/sidecar")).unwrap();
        symlink(dir.path().join("elsewhere"), root.as_path().join("link")).unwrap();
        let linked = sidecar(&root, "link/sidecar/w.json");
        assert!(matches!(root.admits(&linked), Err(Refusal::Directory { .. })));
    }

    #[test]
    fn a_directory_that_others_can_write_is_refused() {
        let (_dir, root) = house();
        let writable = root.as_path().join("a");
        fs::set_permissions(&writable, Permissions::from_mode(0o775)).unwrap();
        let refusal = root.admits(&sidecar(&root, "a/sidecar/w.json")).unwrap_err();
        assert!(refusal.to_string().contains("mode 0775"), "{refusal}");
    }

    #[test]
    fn after_the_sidecars_directory_has_gone_its_state_root_still_counts() {
        let (_dir, root) = house();
        fs::remove_dir(root.as_path().join("a/sidecar")).unwrap();
        let gone = sidecar(&root, "a/sidecar/w.json");
        assert!(root.admits(&gone).is_err());
        root.admits_state_root(&gone).unwrap();
    }

    #[test]
    fn the_root_itself_must_be_absolute() {
        for path in ["", "srv", "/srv/../etc"] {
            assert!(AdminRoot::parse(path.into()).is_err(), "{path:?}");
        }
    }
}

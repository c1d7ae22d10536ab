//! A directory of ours beside the program: git's HOME, without any settings, and the only programs
//! that git runs besides its own. Both are this program under other names.
//!
//! ```text
//! <directory of the programs>/terok-git-gate
//!                             git-home/hooks/pre-receive  -> ../../terok-git-gate
//!                             git-home/hooks/post-receive -> ../../terok-git-gate
//!                             git-home/bin/silent         -> ../../terok-git-gate
//! ```
//!
//! It belongs to the installation as the programs do, is the same for every container, and is made
//! here when it is missing; so nothing has to be cleaned up when a gate ends.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The names git runs the hooks under (githooks(5)).
pub(crate) const PRE_RECEIVE: &str = "pre-receive";
pub(crate) const POST_RECEIVE: &str = "post-receive";
/// Does nothing and says nothing: stands in for programs that a repository might name.
pub(crate) const SILENT: &str = "silent";
const DIRECTORY: &str = "git-home";

#[derive(Debug)]
pub(crate) struct Home {
    /// This program's file.
    pub(crate) program: PathBuf,
    pub(crate) directory: PathBuf,
    /// Device and number of the program's file when it was started.
    at_start: Option<(u64, u64)>,
}

#[derive(Debug)]
pub(crate) enum HomeError {
    OwnProgram { why: io::Error },
    Make { directory: PathBuf, why: io::Error },
}

impl Home {
    /// Finds the directory, and makes or mends what is missing in it.
    pub(crate) fn make() -> Result<Self, HomeError> {
        let program = std::env::current_exe()
            .and_then(fs::canonicalize)
            .map_err(|why| HomeError::OwnProgram { why })?;
        let beside = program.parent().expect("a program's file is in a directory");
        let home = Self::of(beside.join(DIRECTORY), program);
        match home.mend() {
            Ok(()) => Ok(home),
            Err(why) => Err(HomeError::Make { directory: home.directory, why }),
        }
    }

    pub(crate) fn of(directory: PathBuf, program: PathBuf) -> Self {
        let at_start = identity(&program);
        Self { program, directory, at_start }
    }

    /// Whether the program was replaced, as by an upgrade: confinement lets git run the file of the
    /// start alone, so that hooks cannot run any more.
    pub(crate) fn is_outdated(&self) -> bool {
        identity(&self.program) != self.at_start
    }

    /// The directory for `core.hooksPath`.
    pub(crate) fn hooks(&self) -> PathBuf {
        self.directory.join("hooks")
    }

    /// The directory of `SILENT`, for git's search path.
    pub(crate) fn programs(&self) -> PathBuf {
        self.directory.join("bin")
    }

    fn mend(&self) -> io::Result<()> {
        let name = self.program.file_name().expect("a program's file has a name");
        let target = Path::new("../..").join(name);
        let hooks = [PRE_RECEIVE, POST_RECEIVE].map(|hook| self.hooks().join(hook));
        for link in hooks.into_iter().chain([self.programs().join(SILENT)]) {
            if fs::canonicalize(&link).is_ok_and(|found| found == self.program) {
                continue;
            }
            let directory = link.parent().expect("it is below our directory");
            fs::create_dir_all(directory)?;
            // Whatever the umask: programs installed for all users serve all users.
            for made in [&self.directory, directory] {
                fs::set_permissions(made, fs::Permissions::from_mode(0o755))?;
            }
            place(&target, &link)?;
        }
        Ok(())
    }
}

fn identity(program: &Path) -> Option<(u64, u64)> {
    fs::metadata(program).ok().map(|file| (file.dev(), file.ino()))
}

/// Puts a symbolic link in place in one step: other containers' gates may be doing the same.
fn place(target: &Path, link: &Path) -> io::Result<()> {
    let fresh = link.with_extension(std::process::id().to_string());
    match fs::remove_file(&fresh) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
        _ => {}
    }
    symlink(target, &fresh)?;
    fs::rename(&fresh, link)
}

impl fmt::Display for HomeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnProgram { why } => write!(f, "find our own program: {why}"),
            Self::Make { directory, why } => write!(
                f,
                "make the directory of git's hooks {}: {why}\n\
                 hint: run `terokctl setup` again as the owner of the programs",
                directory.display()
            ),
        }
    }
}

impl std::error::Error for HomeError {}

//! The programs that hooks and supervisors run, side by side in one directory.
//!
//! In: the directory of the running terokctl. Out: `<state_dir>/libexec` with a copy of each, or
//! the system's libexec directory when terokctl belongs to an installation there. A copy is
//! renamed into place: supervisors that are running keep the program they started with.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::changes::{Change, make_dirs};
use super::places::{Operator, Places};
use super::report::Step;

/// The hook; it starts the supervisor, and that the services, from beside it.
pub(crate) const HOOK: &str = "terok-hook";
pub(crate) const SUPERVISOR: &str = "terok-supervisor";
/// Takes a runtime's place where there is no hooks directory.
pub(crate) const WRAPPER: &str = "terok-runtime";

/// Everything that must lie in the directory.
pub(crate) const PROGRAMS: [&str; 7] = [
    HOOK,
    WRAPPER,
    SUPERVISOR,
    "terok-vault-keeper",
    "terok-token-broker",
    "terok-ssh-signer",
    "terok-git-gate",
];

/// Prefixes whose `libexec/terok` is a system installation: owned by root, updated by a package.
const SYSTEM_PREFIXES: [&str; 2] = ["usr", "usr/local"];

const BUFFER: usize = 1 << 16;

/// Why the programs cannot be put in place.
#[derive(Debug)]
pub(crate) enum Error {
    /// A program is not where the others are.
    Missing {
        program: &'static str,
        directory: PathBuf,
    },
    /// A directory that must be ours is not: others could change what hooks run.
    Foreign {
        path: PathBuf,
        owner: u32,
        expected: u32,
    },
    NotADirectory {
        path: PathBuf,
    },
    Unreadable {
        path: PathBuf,
        source: io::Error,
    },
    /// Every user's podman reads root's list of hooks directories, and starts nothing when it
    /// cannot open one of them.
    Closed {
        path: PathBuf,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { program, directory } => write!(
                f,
                "find {program}: no executable file in {}\nhint: keep all programs beside terokctl; from a checkout, `cargo build --workspace` makes them",
                directory.display()
            ),
            Self::Foreign { path, owner, expected } => write!(
                f,
                "use {}: owned by uid {owner}, expected {expected}\nhint: remove it or give it to the user who runs the containers",
                path.display()
            ),
            Self::NotADirectory { path } => write!(f, "use {}: not a directory", path.display()),
            Self::Unreadable { path, source } => write!(f, "read {}: {source}", path.display()),
            Self::Closed { path } => write!(
                f,
                "use {0}: other users cannot go through it, and their podman would refuse every container\nhint: run chmod o+x {0}, or set TEROK_SANDBOX_STATE_DIR to another place",
                path.display()
            ),
        }
    }
}

/// What setup has to do here.
pub(super) struct Plan {
    pub(super) step: Step,
    /// Where the programs will be.
    pub(super) directory: PathBuf,
}

/// Plans where the programs go and which of them must be copied.
///
/// # Errors
/// A program that is missing, or directories that are not the operator's.
pub(super) fn plan(places: &Places) -> Result<Plan, Error> {
    let source = source(&places.terokctl)?;
    let system = SYSTEM_PREFIXES.map(|p| places.system_root.join(p).join("libexec/terok"));
    if system.contains(&source) {
        let step = Step::unchanged(format!("programs in {}", source.display()));
        return Ok(Plan { step, directory: source });
    }
    let directory = places.libexec_dir();
    let mut changes = private_directory(places, &directory)?;
    for program in PROGRAMS {
        let (from, to) = (source.join(program), directory.join(program));
        if !is_installed(&from, &to)? {
            changes.push(Change::Copy { from, to, mode: 0o755 });
        }
    }
    let step = Step::new(
        format!("install {} programs in {}", PROGRAMS.len(), directory.display()),
        changes,
    );
    Ok(Plan { step, directory })
}

/// The directory with all programs: terokctl's own, or `libexec/terok` under the same prefix.
fn source(terokctl: &Path) -> Result<PathBuf, Error> {
    let beside = terokctl.parent().unwrap_or(Path::new("/"));
    let prefix = beside.parent().unwrap_or(Path::new("/"));
    let libexec = prefix.join("libexec/terok");
    match [beside, &libexec].into_iter().find(|directory| first_missing(directory).is_none()) {
        Some(directory) => Ok(directory.to_owned()),
        None => {
            let likely = if libexec.is_dir() { &libexec } else { beside };
            let program = first_missing(likely).expect("a complete directory was looked for");
            Err(Error::Missing { program, directory: likely.to_owned() })
        }
    }
}

fn first_missing(directory: &Path) -> Option<&'static str> {
    PROGRAMS.into_iter().find(|program| {
        let metadata = fs::metadata(directory.join(program));
        !metadata.is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    })
}

/// What makes the state directory exist; whoever else owned it could change what hooks run.
///
/// # Errors
/// It is not a directory, or not the operator's.
pub(super) fn state_directory(places: &Places) -> Result<Vec<Change>, Error> {
    let mode = if places.operator == Operator::Root { 0o711 } else { 0o700 };
    let mut changes = match fs::metadata(&places.state_dir) {
        Ok(metadata) => owned(places, &places.state_dir, &metadata).map(|()| Vec::new())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_dirs(&places.state_dir, mode),
        Err(source) => return Err(Error::Unreadable { path: places.state_dir.clone(), source }),
    };
    if places.operator == Operator::Root {
        changes.extend(opened(places)?);
    }
    Ok(changes)
}

/// What lets other users through to the hooks directory, as far as these directories are ours. What
/// is in them has modes of its own.
fn opened(places: &Places) -> Result<Vec<Change>, Error> {
    let mut changes = Vec::new();
    let below =
        |path: &&Path| path.starts_with(&places.system_root) && **path != places.system_root;
    for path in places.state_dir.ancestors().take_while(below) {
        let Ok(facts) = fs::metadata(path) else { continue };
        let mode = facts.mode() & 0o7777;
        if mode & 0o001 != 0 {
            continue;
        }
        let is_ours = path == places.state_dir || path.file_name() == Some(OsStr::new("terok"));
        if !is_ours {
            return Err(Error::Closed { path: path.to_owned() });
        }
        changes.push(Change::SetMode { path: path.to_owned(), mode: mode | 0o011 });
    }
    Ok(changes)
}

/// What makes `path`, below the state directory, a directory that only the operator can change.
///
/// # Errors
/// As for `state_directory`.
pub(super) fn private_directory(places: &Places, path: &Path) -> Result<Vec<Change>, Error> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => {
            owned(places, path, &metadata)?;
            let fits = metadata.mode() & 0o7777 == 0o755;
            let change = Change::SetMode { path: path.to_owned(), mode: 0o755 };
            Ok(if fits { Vec::new() } else { vec![change] })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(vec![Change::MakeDir { path: path.to_owned(), mode: 0o755 }])
        }
        Err(source) => Err(Error::Unreadable { path: path.to_owned(), source }),
    }
}

fn owned(places: &Places, path: &Path, metadata: &fs::Metadata) -> Result<(), Error> {
    let (owner, expected) = (metadata.uid(), places.operator.uid());
    if !metadata.is_dir() {
        return Err(Error::NotADirectory { path: path.to_owned() });
    }
    if owner != expected {
        return Err(Error::Foreign { path: path.to_owned(), owner, expected });
    }
    Ok(())
}

/// Whether `to` is a regular file with the bytes of `from` and the mode it would get.
fn is_installed(from: &Path, to: &Path) -> Result<bool, Error> {
    let Ok(installed) = fs::symlink_metadata(to) else { return Ok(false) };
    let fits = installed.is_file() && installed.mode() & 0o7777 == 0o755;
    let length = fs::metadata(from).map(|metadata| metadata.len());
    Ok(fits
        && length.is_ok_and(|length| length == installed.len())
        && same_bytes(from, to)
            .map_err(|source| Error::Unreadable { path: to.to_owned(), source })?)
}

fn same_bytes(one: &Path, other: &Path) -> io::Result<bool> {
    let mut one = BufReader::with_capacity(BUFFER, File::open(one)?);
    let mut other = BufReader::with_capacity(BUFFER, File::open(other)?);
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let length = left.len().min(right.len());
        if left[..length] != right[..length] {
            return Ok(false);
        }
        if length == 0 {
            return Ok(left.is_empty() && right.is_empty());
        }
        one.consume(length);
        other.consume(length);
    }
}

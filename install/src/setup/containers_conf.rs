//! Registers the hooks directory in containers.conf: `[engine] hooks_dir` of the operator's own
//! file, so that podman fires the hooks again at every `podman start` (`--hooks-dir` is not kept).
//!
//! In: the files podman reads. Out: the one change to make, or that it is there already. The list
//! replaces what lower files and podman itself say, so a new list begins with all of that: other
//! tools' hooks keep working. A directory that does not exist is no harm in it.

mod hooks_dir;
mod lookup;

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::hooks_dir::{Added, BUILT_IN, Effective, Fault, HooksDir, Made};
pub(crate) use self::lookup::Lookup;
use super::changes::{Change, make_dirs};
use super::places::{Operator, Places};
use super::report::Step;

/// What podman uses for root, besides the built-in directory, while the list is empty.
const IMPLICIT_FOR_ROOT: &str = "/etc/containers/oci/hooks.d";

/// Why the directory cannot be registered.
#[derive(Debug)]
pub(crate) enum Error {
    /// A file podman reads, or a drop-in directory, cannot be read.
    Unreadable { path: PathBuf, source: io::Error },
    /// A file that podman itself could not use.
    Unusable { path: PathBuf, fault: Fault },
    /// The file is a symbolic link to nothing.
    Dangling { path: PathBuf },
    /// A file of higher precedence sets another list, so an entry of ours would do nothing.
    Overridden { by: PathBuf, dir: String },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, source } => write!(f, "read {}: {source}", path.display()),
            Self::Unusable { path, fault } => write!(
                f,
                "read {}: {fault}\nhint: podman cannot use this file either; it was left as it is",
                path.display()
            ),
            Self::Dangling { path } => write!(
                f,
                "follow {}: the symbolic link leads to no file\nhint: create its target or remove the link",
                path.display()
            ),
            Self::Overridden { by, dir } => write!(
                f,
                "register {dir}: {} sets hooks_dir and is read later than the file to write\nhint: add the directory to the list there, then run setup again",
                by.display()
            ),
        }
    }
}

/// One entry that setup made, for the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Registration {
    /// The real file, symbolic links followed.
    pub(super) file: PathBuf,
    #[serde(flatten)]
    added: Added,
}

/// What setup has to do here.
pub(super) struct Plan {
    pub(super) step: Step,
    /// `None` when the directory was in force already.
    pub(super) registration: Option<Registration>,
    /// The directories podman will read hooks from, ours included.
    pub(super) in_force: Vec<PathBuf>,
}

/// One file podman reads, with its text and entry when it exists.
struct Layer {
    path: PathBuf,
    text: Option<String>,
    entry: Option<HooksDir>,
}

/// Plans the registration of `dir`.
///
/// # Errors
/// A file that podman could not read either, or one that makes any entry of ours void.
pub(super) fn plan(places: &Places, dir: &str) -> Result<Plan, Error> {
    let (mut layers, target) = read_layers(places)?;
    let now = laid_over(&layers);
    let path = layers[target].path.clone();
    if contains(&now, dir) {
        let step = Step::unchanged(format!("containers.conf lists {dir}"));
        return Ok(Plan { step, registration: None, in_force: paths(now) });
    }

    let file = real_path(&path)?;
    let text = layers[target].text.clone();
    let unusable = |fault| Error::Unusable { path: path.clone(), fault };
    let wanted = to_add(places.operator, &layers, target, dir);
    let (after, mut added) =
        hooks_dir::add(text.as_deref().unwrap_or(""), &wanted).map_err(unusable)?;
    layers[target].entry = hooks_dir::read(&after).map_err(unusable)?;
    let then = laid_over(&layers);
    if !contains(&then, dir) {
        let by = layers.iter().rev().find(|layer| layer.entry.is_some());
        let by = by.expect("some file's list is in force").path.clone();
        return Err(Error::Overridden { by, dir: dir.to_owned() });
    }

    let (directory_mode, mut mode) = match places.operator {
        Operator::Root => (0o755, 0o644),
        Operator::User(_) => (0o700, 0o644),
    };
    if text.is_none() {
        added.made = Made::File;
    } else if let Ok(metadata) = fs::metadata(&file) {
        mode = metadata.mode() & 0o7777;
    }
    let mut changes = make_dirs(file.parent().unwrap_or(Path::new("/")), directory_mode);
    changes.push(Change::Write { path: file.clone(), contents: after.into(), mode });
    let step = Step::new(format!("register {dir} in {}", file.display()), changes);
    let registration = Some(Registration { file, added });
    Ok(Plan { step, registration, in_force: paths(then) })
}

/// Plans to take one registration back. Without anything of it left, the step changes nothing.
///
/// # Errors
/// The file cannot be read or understood.
pub(super) fn plan_removal(registration: &Registration) -> Result<Step, Error> {
    let Registration { file, added } = registration;
    let line = format!("remove the hooks directory from {}", file.display());
    let Some(text) = read_file(file)? else { return Ok(Step::unchanged(line)) };
    let left = hooks_dir::take_back(&text, added)
        .map_err(|fault| Error::Unusable { path: file.clone(), fault })?;
    let change = match left {
        None => return Ok(Step::unchanged(line)),
        Some(left) if added.made == Made::File && left.trim().is_empty() => {
            Change::RemoveFile { path: file.clone() }
        }
        Some(left) => {
            let metadata = fs::metadata(file)
                .map_err(|source| Error::Unreadable { path: file.clone(), source })?;
            let mode = metadata.mode() & 0o7777;
            Change::Write { path: file.clone(), contents: left.into(), mode }
        }
    };
    Ok(Step::new(line, vec![change]))
}

/// The hooks directories podman reads at present, lowest precedence first.
///
/// # Errors
/// A file that podman could not read either.
pub(super) fn in_force(places: &Places) -> Result<Vec<PathBuf>, Error> {
    let (layers, _) = read_layers(places)?;
    Ok(paths(laid_over(&layers)))
}

fn read_layers(places: &Places) -> Result<(Vec<Layer>, usize), Error> {
    let order = lookup::read_order(places)
        .map_err(|source| Error::Unreadable { path: "containers.conf.d".into(), source })?;
    let layers = order.files.into_iter().map(read_layer).collect::<Result<_, _>>()?;
    Ok((layers, order.target))
}

fn read_layer(path: PathBuf) -> Result<Layer, Error> {
    let text = read_file(&path)?;
    let entry = text.as_deref().map_or(Ok(None), hooks_dir::read);
    match entry {
        Ok(entry) => Ok(Layer { path, text, entry }),
        Err(fault) => Err(Error::Unusable { path, fault }),
    }
}

fn read_file(path: &Path) -> Result<Option<String>, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Unreadable { path: path.to_owned(), source }),
    }
}

fn laid_over(layers: &[Layer]) -> Effective {
    hooks_dir::effective(layers.iter().filter_map(|layer| layer.entry.as_ref()))
}

/// The directories that the target's list lacks: ours, and in a new list all that it would hide.
fn to_add(operator: Operator, layers: &[Layer], target: usize, dir: &str) -> Vec<String> {
    let below = laid_over(&layers[..target]);
    let with_target = laid_over(&layers[..=target]);
    let mut dirs = match &layers[target].entry {
        Some(_) if !with_target.dirs.is_empty() => Vec::new(),
        None if below.appending => Vec::new(),
        None if !below.dirs.is_empty() => below.dirs,
        // podman reads an empty list as none for a user and as the implicit places for root.
        _ if operator == Operator::Root => vec![BUILT_IN.to_owned(), IMPLICIT_FOR_ROOT.to_owned()],
        _ => Vec::new(),
    };
    dirs.push(dir.to_owned());
    dirs
}

fn contains(effective: &Effective, dir: &str) -> bool {
    effective.dirs.iter().any(|listed| Path::new(listed) == Path::new(dir))
}

fn paths(effective: Effective) -> Vec<PathBuf> {
    effective.dirs.into_iter().map(PathBuf::from).collect()
}

/// Where the bytes are: a symbolic link stays, and its target is rewritten.
fn real_path(path: &Path) -> Result<PathBuf, Error> {
    match fs::canonicalize(path) {
        Ok(real) => Ok(real),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::Unreadable { path: path.to_owned(), source: error })
        }
        Err(_) if path.is_symlink() => Err(Error::Dangling { path: path.to_owned() }),
        Err(_) => Ok(path.to_owned()),
    }
}

#[cfg(test)]
mod tests;

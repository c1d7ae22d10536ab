//! The hooks.d descriptors (oci-hooks(5), version 1.0.0): when podman shall run terok-hook.
//!
//! In: where the programs are and which hooks directories are in force. Out: one file per stage in
//! `<state_dir>/hooks`, because podman passes the same arguments to every stage of one file. A
//! file that podman cannot parse fails *every* container, so each is renamed into place complete.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use oci_spec::runtime::{Hook, HookBuilder};
use serde::{Deserialize, Serialize};

use super::changes::Change;
use super::programs;
use super::report::Step;

/// The stages, as `stages` names them and terok-hook's first argument.
pub(crate) const STAGES: [&str; 2] = ["createRuntime", "poststop"];

/// Keys and values are regular expressions that match anywhere, hence the anchors.
const ANNOTATION: &str = r"^terok\.sandbox\.sidecar$";

/// How the Python package names its descriptors, which match the same containers.
pub(crate) const PYTHON_PREFIX: &str = "terok-sandbox-supervisor-";

/// Appended to a descriptor's name it hides the file from podman, which reads `*.json` only.
const SET_ASIDE: &str = ".set-aside-by-terokctl";

/// One descriptor file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Descriptor {
    version: String,
    hook: Hook,
    when: When,
    stages: Vec<String>,
}

impl Descriptor {
    /// The program, and its arguments without the one that is its name.
    pub(super) fn command(&self) -> (&Path, &[String]) {
        let arguments = self.hook.args().as_deref().unwrap_or_default();
        (self.hook.path(), arguments.get(1..).unwrap_or_default())
    }
}

/// The conditions, all of which must hold.
#[derive(Debug, Serialize, Deserialize)]
struct When {
    annotations: BTreeMap<String, String>,
}

/// What to do with the Python package's descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PythonHooks {
    /// Change nothing and say what is in the way.
    Refuse,
    /// Rename them; uninstall names them back.
    SetAside,
}

/// Why the hooks cannot be installed.
#[derive(Debug)]
pub(crate) enum Error {
    /// Each container would get two supervisors.
    PythonPackage {
        descriptors: Vec<PathBuf>,
    },
    Unreadable {
        path: PathBuf,
        source: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PythonPackage { descriptors } => {
                let names: Vec<_> = descriptors.iter().map(|d| d.display().to_string()).collect();
                write!(
                    f,
                    "install hooks: the Python package terok-sandbox has its own in force ({}), and every container would get two supervisors\nhint: run `terokctl setup --replace` to set them aside; `terokctl uninstall` puts them back",
                    names.join(", ")
                )
            }
            Self::Unreadable { path, source } => write!(f, "read {}: {source}", path.display()),
        }
    }
}

/// The descriptor's file name for one stage.
pub(super) fn file_name(stage: &str) -> String {
    format!("terok-supervisor-{stage}.json")
}

/// The descriptor that runs `<programs>/terok-hook STAGE --state-root STATE_DIR`.
pub(super) fn descriptor(stage: &str, programs: &str, state_dir: &str) -> Descriptor {
    let path = format!("{programs}/{}", programs::HOOK);
    let args = [path.as_str(), stage, "--state-root", state_dir].map(str::to_owned);
    Descriptor {
        version: "1.0.0".to_owned(),
        hook: HookBuilder::default()
            .path(path)
            .args(args)
            .build()
            .expect("every field of a hook has a default"),
        when: When { annotations: BTreeMap::from([(ANNOTATION.to_owned(), ".+".to_owned())]) },
        stages: vec![stage.to_owned()],
    }
}

/// Plans the descriptor files in `hooks_dir`, whose directory exists or is made by `directory`.
///
/// # Errors
/// An existing descriptor that cannot be read.
pub(super) fn plan(
    hooks_dir: &Path,
    directory: Vec<Change>,
    programs: &str,
    state_dir: &str,
) -> Result<Step, Error> {
    let mut changes = directory;
    for stage in STAGES {
        let path = hooks_dir.join(file_name(stage));
        let descriptor = descriptor(stage, programs, state_dir);
        let mut contents = serde_json::to_vec_pretty(&descriptor).expect("all fields are strings");
        contents.push(b'\n');
        if !is_installed(&path, &contents)? {
            changes.push(Change::Write { path, contents, mode: 0o644 });
        }
    }
    Ok(Step::new(
        format!("describe hooks {} in {}", STAGES.join(", "), hooks_dir.display()),
        changes,
    ))
}

/// Plans what happens to the Python package's descriptors in any of the directories; returns the
/// step, when there is something to do, and the descriptors it sets aside.
///
/// # Errors
/// Such descriptors, unless they may be set aside; a directory that cannot be read.
pub(super) fn plan_python(
    directories: &[PathBuf],
    wish: PythonHooks,
) -> Result<Option<(Step, Vec<PathBuf>)>, Error> {
    let found = python_descriptors(directories)?;
    if found.is_empty() {
        return Ok(None);
    }
    if wish == PythonHooks::Refuse {
        return Err(Error::PythonPackage { descriptors: found });
    }
    let changes = found
        .iter()
        .map(|from| Change::Rename { from: from.clone(), to: set_aside_name(from) })
        .collect();
    let line = format!("set {} descriptors of the Python package aside", found.len());
    Ok(Some((Step::new(line, changes), found)))
}

/// Plans to name a descriptor back. One that was installed anew in the meantime stays.
pub(super) fn plan_restore(original: &Path) -> Step {
    let from = set_aside_name(original);
    let line = format!("put back {}", original.display());
    if !from.exists() {
        return Step::unchanged(line);
    }
    let change = if original.exists() {
        Change::RemoveFile { path: from }
    } else {
        Change::Rename { from, to: original.to_owned() }
    };
    Step::new(line, vec![change])
}

fn set_aside_name(descriptor: &Path) -> PathBuf {
    let mut name = descriptor.as_os_str().to_owned();
    name.push(SET_ASIDE);
    name.into()
}

fn python_descriptors(directories: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut found = Vec::new();
    for directory in directories {
        let unreadable = |source| Error::Unreadable { path: directory.clone(), source };
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(unreadable)?,
        };
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name();
            let text = name.to_string_lossy();
            if text.starts_with(PYTHON_PREFIX) && text.ends_with(".json") {
                found.push(directory.join(&name));
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn is_installed(path: &Path, contents: &[u8]) -> Result<bool, Error> {
    let unreadable = |source| Error::Unreadable { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(unreadable(error)),
        Ok(metadata) if !metadata.is_file() || metadata.permissions().mode() & 0o7777 != 0o644 => {
            Ok(false)
        }
        Ok(_) => Ok(fs::read(path).map_err(unreadable)? == contents),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_descriptor_is_what_oci_hooks_5_describes() {
        let written = serde_json::to_value(descriptor("poststop", "/opt/bin", "/state")).unwrap();
        assert_eq!(
            written,
            json!({
                "version": "1.0.0",
                "hook": {
                    "path": "/opt/bin/terok-hook",
                    "args": ["/opt/bin/terok-hook", "poststop", "--state-root", "/state"],
                },
                "when": { "annotations": { "^terok\\.sandbox\\.sidecar$": ".+" } },
                "stages": ["poststop"],
            })
        );
    }

    #[test]
    fn a_set_aside_descriptor_no_longer_ends_in_json() {
        let aside = set_aside_name(Path::new("/h/terok-sandbox-supervisor-poststop.json"));
        assert_ne!(aside.extension().unwrap(), "json");
    }
}

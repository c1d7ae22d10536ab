//! What `uninstall` takes back: the containers.conf entries, the descriptors, the programs, and the
//! directories that setup made and that are empty then. Vault, mirrors, logs and sidecars stay.

use std::fs;
use std::path::{Path, PathBuf};

use super::changes::{Change, leftovers};
use super::places::Places;
use super::record::Record;
use super::report::Step;
use super::{SetupError, containers_conf, hook_config, programs};

/// What the git gate makes beside its program when it first runs: git's home, and in it links to
/// that program under the names that git looks for.
const GIT_HOME: &str = "git-home";
const GIT_HOME_PARTS: [&str; 2] = ["hooks", "bin"];
const GIT_HOME_TARGET: &str = "../../terok-git-gate";

/// Plans the removal, in the reverse of setup's order: podman forgets the directory before the
/// descriptors go, and the descriptors go before the programs they name.
///
/// # Errors
/// A containers.conf that cannot be read or understood; nothing is changed then.
pub(super) fn plan(places: &Places, record: &Record) -> Result<Vec<Step>, SetupError> {
    let mut steps = Vec::new();
    for registration in &record.registrations {
        steps.push(containers_conf::plan_removal(registration).map_err(SetupError::Config)?);
    }
    steps.extend(record.set_aside.iter().map(|original| hook_config::plan_restore(original)));

    let hooks_dir = places.hooks_dir();
    let descriptors =
        hook_config::STAGES.map(|stage| hooks_dir.join(hook_config::file_name(stage)));
    let line = format!("remove hook descriptors from {}", hooks_dir.display());
    steps.push(removal(line, &descriptors, &hooks_dir));

    let libexec = places.libexec_dir();
    steps.push(git_home(&libexec.join(GIT_HOME)));
    let copies = programs::PROGRAMS.map(|program| libexec.join(program));
    let line = format!("remove programs from {}", libexec.display());
    steps.push(removal(line, &copies, &libexec));

    let record_file = Record::path(&places.state_dir);
    let mut changes = removals(&[record_file]);
    // The last one made goes first, so that a parent is empty when its turn comes.
    let made = record.made_dirs.iter().rev().filter(|dir| dir.is_dir());
    changes.extend(made.map(|dir| Change::RemoveDirIfEmpty { path: dir.clone() }));
    steps.push(Step::new(
        "remove the record of setup and directories left empty".to_owned(),
        changes,
    ));
    Ok(steps)
}

fn git_home(home: &Path) -> Step {
    let parts = GIT_HOME_PARTS.map(|part| home.join(part)).into_iter();
    let mut changes: Vec<Change> =
        parts.flat_map(|part| emptied(&links_to_gate(&part), &part)).collect();
    if !changes.is_empty() {
        changes.push(Change::RemoveDirIfEmpty { path: home.to_owned() });
    }
    Step::new(format!("remove git's own directory {}", home.display()), changes)
}

fn links_to_gate(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let ours = |path: &PathBuf| {
        fs::read_link(path).is_ok_and(|target| target == Path::new(GIT_HOME_TARGET))
    };
    entries.map(|entry| entry.path()).filter(ours).collect()
}

fn removal(line: String, files: &[PathBuf], directory: &Path) -> Step {
    Step::new(line, emptied(files, directory))
}

fn emptied(files: &[PathBuf], directory: &Path) -> Vec<Change> {
    let mut changes = removals(files);
    if !changes.is_empty() {
        changes.push(Change::RemoveDirIfEmpty { path: directory.to_owned() });
    }
    changes
}

/// Removes what is there of the files, and of what a killed setup left beside them.
fn removals(files: &[PathBuf]) -> Vec<Change> {
    let all = files.iter().flat_map(|file| [file.clone()].into_iter().chain(leftovers(file)));
    all.filter(|file| fs::symlink_metadata(file).is_ok())
        .map(|path| Change::RemoveFile { path })
        .collect()
}

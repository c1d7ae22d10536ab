//! The hooks: whether podman reads ours, whether it can read every other one, and whether the
//! programs they name can run.
//!
//! podman fails *every* container over one descriptor it cannot parse, and silently skips a hook
//! whose program is missing.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::finding::{Finding, Grade};
use crate::observe::version;
use crate::setup::{HOOK, PROGRAMS, PYTHON_PREFIX, Places, STAGES, hooks_in_force};

const PLACE: &str = "hooks";

/// One descriptor that podman reads.
struct Descriptor {
    path: PathBuf,
    read: Result<Hook, String>,
}

/// What it says, as far as we ask.
struct Hook {
    program: PathBuf,
    stages: Vec<String>,
}

pub(super) fn examine(places: &Places) -> Vec<Finding> {
    let directories = match hooks_in_force(places) {
        Ok(directories) => directories,
        Err(why) => return vec![Finding::of_error(PLACE, Grade::Broken, &why)],
    };
    let (descriptors, mut findings) = descriptors(&directories);
    findings.extend(descriptors.iter().filter_map(unusable));
    let ours: Vec<&Hook> = hooks(&descriptors).filter(|hook| is_ours(hook)).collect();
    findings.extend(in_force(places, &directories, &ours));
    findings.extend(python(&descriptors, !ours.is_empty()));
    let mut programs: Vec<&Path> = ours.iter().filter_map(|hook| hook.program.parent()).collect();
    programs.sort();
    programs.dedup();
    findings.extend(programs.into_iter().flat_map(runnable));
    findings
}

fn hooks(descriptors: &[Descriptor]) -> impl Iterator<Item = &Hook> {
    descriptors.iter().filter_map(|descriptor| descriptor.read.as_ref().ok())
}

fn is_ours(hook: &Hook) -> bool {
    hook.program.file_name().is_some_and(|name| name == HOOK)
}

/// As podman puts them together: of two files of one name the one in the later directory counts.
fn descriptors(directories: &[PathBuf]) -> (Vec<Descriptor>, Vec<Finding>) {
    let (mut by_name, mut findings) = (BTreeMap::new(), vec![]);
    for directory in directories {
        let entries = match fs::read_dir(directory) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => continue,
            Err(why) => {
                let what = format!("read hooks directory {}: {why}", directory.display());
                let hint = format!("make it readable: chmod a+rx {}", directory.display());
                findings.push(Finding::broken(PLACE, what, hint));
                continue;
            }
            Ok(entries) => entries,
        };
        let json = entries.flatten().map(|entry| entry.path());
        let json = json.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
        by_name.extend(json.map(|path| (path.file_name().map(ToOwned::to_owned), path)));
    }
    let read = |path: PathBuf| Descriptor { read: read(&path), path };
    (by_name.into_values().map(read).collect(), findings)
}

fn read(path: &Path) -> Result<Hook, String> {
    let text = fs::read(path).map_err(|why| why.to_string())?;
    let value: Value = serde_json::from_slice(&text)
        .map_err(|why| format!("not JSON at line {} column {}", why.line(), why.column()))?;
    let program = value.pointer("/hook/path").and_then(Value::as_str).ok_or("no `hook.path`")?;
    // Its plural is version 1.0.0's, its singular 0.1.0's.
    let stages = value.get("stages").or_else(|| value.get("stage")).and_then(Value::as_array);
    let stages = stages.ok_or("no `stages`")?.iter().filter_map(Value::as_str);
    Ok(Hook { program: program.into(), stages: stages.map(str::to_owned).collect() })
}

/// A descriptor that breaks every container, or a hook that podman will silently skip.
fn unusable(descriptor: &Descriptor) -> Option<Finding> {
    let path = descriptor.path.display();
    match &descriptor.read {
        Err(why) => Some(Finding::broken(
            PLACE,
            format!("podman starts no container at all over {path}: {why}"),
            format!("repair or remove {path}"),
        )),
        Ok(hook) if is_executable(&hook.program) => None,
        Ok(hook) if is_ours(hook) => Some(Finding::broken(
            PLACE,
            format!("{path} names {}, which cannot be run", hook.program.display()),
            "run terokctl setup",
        )),
        Ok(hook) => Some(Finding::warning(
            PLACE,
            format!("{path} names {}, which cannot be run", hook.program.display()),
            "podman skips it silently: remove it, or install what it belongs to",
        )),
    }
}

fn in_force(places: &Places, directories: &[PathBuf], ours: &[&Hook]) -> Vec<Finding> {
    let missing = |stage: &&str| !ours.iter().any(|hook| hook.stages.iter().any(|s| s == stage));
    let missing: Vec<&str> = STAGES.into_iter().filter(|stage| missing(stage)).collect();
    let dir = places.hooks_dir();
    if missing.is_empty() {
        let directories: Vec<String> =
            directories.iter().map(|d| d.display().to_string()).collect();
        return vec![Finding::good(PLACE, format!("podman reads {}", directories.join(", ")))];
    }
    let what = if !dir.is_dir() && ours.is_empty() {
        "not installed: containers start without a supervisor".to_owned()
    } else if !directories.contains(&dir) && ours.is_empty() {
        format!("podman does not read {}: containers start without a supervisor", dir.display())
    } else {
        format!("no descriptor for {}", missing.join(" and "))
    };
    vec![Finding::broken(PLACE, what, "run terokctl setup")]
}

/// The Python package's hooks match the same containers.
fn python(descriptors: &[Descriptor], ours_too: bool) -> Option<Finding> {
    let theirs = descriptors.iter().find(|descriptor| {
        let name = descriptor.path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with(PYTHON_PREFIX)
    })?;
    let path = theirs.path.display();
    Some(match ours_too {
        true => Finding::broken(
            PLACE,
            format!("the Python package's hooks are in force too ({path}): two supervisors each"),
            "run terokctl setup --replace",
        ),
        false => Finding::note(PLACE, format!("the Python package's hooks are in force ({path})")),
    })
}

/// The programs beside the hook: all there, executable, of our version.
fn runnable(directory: &Path) -> Vec<Finding> {
    const PLACE: &str = "programs";
    const SETUP: &str = "run terokctl setup";
    let broken: Vec<&str> =
        PROGRAMS.into_iter().filter(|name| !is_executable(&directory.join(name))).collect();
    if !broken.is_empty() {
        let what = format!("{} cannot be run in {}", broken.join(", "), directory.display());
        return vec![Finding::broken(PLACE, what, SETUP)];
    }
    let others: Vec<String> = version::of_all(directory)
        .into_iter()
        .filter(|program| program.version.as_ref().is_ok_and(|is| is != version::OURS))
        .map(|program| format!("{} {}", program.name, program.version.unwrap_or_default()))
        .collect();
    if others.is_empty() {
        return vec![Finding::good(
            PLACE,
            format!("{} in {}", PROGRAMS.len(), directory.display()),
        )];
    }
    let what = format!("this terokctl is {}, but there are {}", version::OURS, others.join(", "));
    vec![Finding::warning(PLACE, what, SETUP)]
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, name: &str, text: &str) {
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join(name), text).unwrap();
    }

    fn hook(program: &str, stage: &str) -> String {
        format!(r#"{{"version":"1.0.0","hook":{{"path":"{program}"}},"stages":["{stage}"]}}"#)
    }

    #[test]
    fn a_descriptor_that_podman_cannot_parse_is_broken_and_a_later_one_hides_it() {
        let dir = tempfile::tempdir().unwrap();
        let (low, high) = (dir.path().join("low"), dir.path().join("high"));
        write(&low, "a.json", "garbage");
        write(&low, "not-a-descriptor.txt", "garbage");
        let (found, _) = descriptors(&[low.clone(), dir.path().join("missing")]);
        assert_eq!(found.len(), 1);
        let finding = unusable(&found[0]).unwrap();
        assert!(finding.grade == Grade::Broken && finding.what.contains("line 1"), "{finding:?}");
        write(&high, "a.json", &hook("/bin/sh", "poststop"));
        let (found, _) = descriptors(&[low, high]);
        assert!(found.len() == 1 && unusable(&found[0]).is_none());
    }

    #[test]
    fn a_descriptor_that_cannot_be_read_is_as_bad_as_one_that_cannot_be_parsed() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/nowhere/gone.json", dir.path().join("gone.json")).unwrap();
        let (found, _) = descriptors(&[dir.path().to_owned()]);
        let finding = unusable(&found[0]).unwrap();
        assert_eq!(finding.grade, Grade::Broken);
        assert!(finding.what.contains("no container at all"), "{finding:?}");
        assert!(finding.hint.unwrap().contains("gone.json"));
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hooks.d");
        fs::write(&file, "").unwrap();
        let (found, findings) = descriptors(&[file]);
        assert!(found.is_empty() && findings[0].grade == Grade::Broken, "{findings:?}");
    }

    #[test]
    fn a_missing_program_is_broken_when_it_is_ours() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "ours.json", &hook("/nowhere/terok-hook", "poststop"));
        write(dir.path(), "theirs.json", &hook("/nowhere/other", "poststop"));
        let (found, _) = descriptors(&[dir.path().to_owned()]);
        let grades: Vec<_> = found.iter().filter_map(unusable).map(|f| f.grade).collect();
        assert_eq!(grades, [Grade::Broken, Grade::Warning]);
    }

    #[test]
    fn the_python_packages_hooks_are_a_second_supervisor_only_beside_ours() {
        let dir = tempfile::tempdir().unwrap();
        let name = format!("{PYTHON_PREFIX}createRuntime.json");
        write(dir.path(), &name, &hook("/bin/sh", "createRuntime"));
        let (found, _) = descriptors(&[dir.path().to_owned()]);
        assert_eq!(python(&found, true).unwrap().grade, Grade::Broken);
        assert_eq!(python(&found, false).unwrap().grade, Grade::Note);
        assert!(python(&[], true).is_none());
    }

    #[test]
    fn a_missing_service_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let finding = &runnable(dir.path())[0];
        assert!(finding.grade == Grade::Broken && finding.what.contains("terok-vault-keeper"));
    }
}

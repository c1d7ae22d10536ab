//! Which containers.conf files podman reads, lowest precedence first, and which of them is ours
//! to write.
//!
//! Up to podman 5 every main file is merged, each followed by its drop-ins (containers.conf(5)).
//! From podman 6 only the highest main file that exists is read, then the drop-ins of all places
//! together, sorted by file name (containers-config(5)): a new main file of the user's would hide
//! the system's whole file, so there a drop-in is written unless the user has a main file already.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::super::places::{Operator, Places};

/// Ours where a main file would hide others; sorted late, because the last file wins.
const DROP_IN: &str = "90-terok-hooks.conf";

/// How the installed podman puts its configuration together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// podman 5 and older: all main files, one over the other.
    MergesMainFiles,
    /// podman 6 and newer: one main file.
    FirstMainFile,
}

impl Lookup {
    /// From the line that `podman --version` prints; anything unknown counts as an old podman.
    pub(crate) fn of_podman(version: &str) -> Self {
        let major = version
            .rsplit(' ')
            .next()
            .and_then(|number| number.split('.').next())
            .and_then(|major| major.trim().parse::<u32>().ok());
        if major.is_some_and(|major| major >= 6) {
            Self::FirstMainFile
        } else {
            Self::MergesMainFiles
        }
    }

    /// Asks the podman on PATH; without one the merging rule is assumed.
    pub(crate) fn ask_podman() -> Self {
        let output = Command::new("podman").arg("--version").output();
        output.map_or(Self::MergesMainFiles, |output| {
            Self::of_podman(&String::from_utf8_lossy(&output.stdout))
        })
    }
}

/// The files podman would read, those that do not exist included; `files[target]` is ours to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReadOrder {
    pub(super) files: Vec<PathBuf>,
    pub(super) target: usize,
}

/// Lists them for one operator.
///
/// `CONTAINERS_CONF` replaces the whole search: podman reads that file alone, so that file is the
/// one to write. `CONTAINERS_CONF_OVERRIDE` comes on top of everything and is never written.
///
/// # Errors
/// A drop-in directory that exists and cannot be read; podman fails on it too.
pub(super) fn read_order(places: &Places) -> io::Result<ReadOrder> {
    let mut order = match (&places.containers_conf, places.lookup) {
        (Some(file), _) => ReadOrder { files: vec![file.clone()], target: 0 },
        (None, Lookup::MergesMainFiles) => merged(places)?,
        (None, Lookup::FirstMainFile) => first_main_file(places)?,
    };
    order.files.extend(places.containers_conf_override.clone());
    Ok(order)
}

/// The main files, lowest first: the distribution's, the administrator's, the user's. Newer
/// podman reads root's own as well.
fn main_files(places: &Places) -> [PathBuf; 3] {
    [
        places.system_root.join("usr/share/containers/containers.conf"),
        places.system_root.join("etc/containers/containers.conf"),
        places.config_home.join("containers/containers.conf"),
    ]
}

/// The place in `main_files` that belongs to the operator.
fn own_level(operator: Operator) -> usize {
    match operator {
        Operator::Root => 1,
        Operator::User(_) => 2,
    }
}

fn merged(places: &Places) -> io::Result<ReadOrder> {
    let mains = main_files(places);
    let own = mains[own_level(places.operator)].clone();
    let [vendor, admin, user] = mains;
    let mut files = vec![vendor, admin.clone()];
    files.extend(drop_ins(&with_suffix(&admin, ".d"))?);
    if let Operator::User(uid) = places.operator {
        let rootless = admin.with_file_name("containers.rootless.conf");
        let directory = with_suffix(&rootless, ".d");
        files.push(rootless);
        files.extend(drop_ins(&directory)?);
        files.extend(drop_ins(&directory.join(uid.to_string()))?);
    }
    let directory = with_suffix(&user, ".d");
    files.push(user);
    files.extend(drop_ins(&directory)?);
    let target = files.iter().position(|file| *file == own).expect("the own file was listed");
    Ok(ReadOrder { files, target })
}

fn first_main_file(places: &Places) -> io::Result<ReadOrder> {
    let mains = main_files(places);
    let own = mains[own_level(places.operator)].clone();
    let main = mains.iter().rev().find(|file| file.exists()).cloned();
    let mut by_name = BTreeMap::new();
    for (level, file) in mains.iter().enumerate() {
        let mut directories = vec![with_suffix(file, ".d")];
        let special = |kind: &str| file.with_file_name(format!("containers.{kind}.conf.d"));
        match places.operator {
            _ if level == 2 => {} // the user's own place has no such division
            Operator::Root => directories.push(special("rootful")),
            Operator::User(uid) => {
                directories.push(special("rootless"));
                directories.push(special("rootless").join(uid.to_string()));
            }
        }
        for directory in directories {
            // A later file of the same name hides the earlier one.
            by_name.extend(drop_ins(&directory)?.into_iter().map(|file| (name_of(&file), file)));
        }
    }
    let target = match &main {
        Some(main) if *main == own => own,
        _ => {
            let drop_in = with_suffix(&own, ".d").join(DROP_IN);
            by_name.insert(name_of(&drop_in), drop_in.clone());
            drop_in
        }
    };
    let files: Vec<_> = main.into_iter().chain(by_name.into_values()).collect();
    let target = files.iter().position(|file| *file == target).expect("the target was listed");
    Ok(ReadOrder { files, target })
}

fn name_of(file: &Path) -> OsString {
    file.file_name().expect("a drop-in has a name").to_owned()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The `*.conf` files of one directory in the order of their names; none when it does not exist.
fn drop_ins(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let is_conf = entry.file_name().as_encoded_bytes().ends_with(b".conf");
        if is_conf && !entry.file_type()?.is_dir() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::Machine;
    use super::*;

    fn names(machine: &Machine, order: &ReadOrder) -> Vec<String> {
        let root = machine.root();
        let shown = |file: &PathBuf| file.strip_prefix(root).unwrap().display().to_string();
        order.files.iter().map(shown).collect()
    }

    #[test]
    fn podman_6_and_later_read_one_main_file() {
        assert_eq!(Lookup::of_podman("podman version 4.3.1\n"), Lookup::MergesMainFiles);
        assert_eq!(Lookup::of_podman("podman version 5.8.2"), Lookup::MergesMainFiles);
        assert_eq!(Lookup::of_podman("podman version 6.0.0-rc1\n"), Lookup::FirstMainFile);
        assert_eq!(Lookup::of_podman("podman version 10.1.0\n"), Lookup::FirstMainFile);
        assert_eq!(Lookup::of_podman(""), Lookup::MergesMainFiles);
    }

    #[test]
    fn a_user_reads_system_drop_ins_before_the_own_file() {
        let machine = Machine::rootless();
        machine.write("etc/containers/containers.conf.d/b.conf", "");
        machine.write("etc/containers/containers.conf.d/a.conf", "");
        machine.write("etc/containers/containers.conf.d/README", "");
        machine.write("home/.config/containers/containers.conf.d/c.conf", "");
        let order = read_order(&machine.places()).unwrap();
        let files = names(&machine, &order);
        assert_eq!(
            files,
            [
                "usr/share/containers/containers.conf",
                "etc/containers/containers.conf",
                "etc/containers/containers.conf.d/a.conf",
                "etc/containers/containers.conf.d/b.conf",
                "etc/containers/containers.rootless.conf",
                "home/.config/containers/containers.conf",
                "home/.config/containers/containers.conf.d/c.conf",
            ]
        );
        assert_eq!(files[order.target], "home/.config/containers/containers.conf");
    }

    #[test]
    fn root_writes_below_etc() {
        let machine = Machine::rootful();
        let order = read_order(&machine.places()).unwrap();
        assert_eq!(names(&machine, &order)[order.target], "etc/containers/containers.conf");
    }

    #[test]
    fn podman_6_gets_a_drop_in_where_a_main_file_would_hide_the_systems() {
        let machine = Machine::rootless();
        machine.write("usr/share/containers/containers.conf", "");
        machine.write("etc/containers/containers.conf", "");
        machine.write("etc/containers/containers.rootless.conf.d/99-late.conf", "");
        machine.write("etc/containers/containers.rootful.conf.d/50-not-mine.conf", "");
        let mut places = machine.places();
        places.lookup = Lookup::FirstMainFile;
        let order = read_order(&places).unwrap();
        let ours = "home/.config/containers/containers.conf.d/90-terok-hooks.conf";
        assert_eq!(
            names(&machine, &order),
            [
                "etc/containers/containers.conf",
                ours,
                "etc/containers/containers.rootless.conf.d/99-late.conf"
            ]
        );
        assert_eq!(names(&machine, &order)[order.target], ours);
    }

    #[test]
    fn podman_6_uses_the_users_main_file_when_there_is_one() {
        let machine = Machine::rootless();
        machine.write("etc/containers/containers.conf", "");
        machine.write("home/.config/containers/containers.conf", "");
        let mut places = machine.places();
        places.lookup = Lookup::FirstMainFile;
        let order = read_order(&places).unwrap();
        assert_eq!(names(&machine, &order), ["home/.config/containers/containers.conf"]);
    }

    #[test]
    fn containers_conf_in_the_environment_is_the_only_file() {
        let machine = Machine::rootless();
        let mut places = machine.places();
        places.containers_conf = Some(machine.root().join("mine.conf"));
        places.containers_conf_override = Some(machine.root().join("over.conf"));
        let order = read_order(&places).unwrap();
        assert_eq!(names(&machine, &order), ["mine.conf", "over.conf"]);
        assert_eq!(order.target, 0);
    }
}

//! Setup and uninstall on a machine made of one temporary directory.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::places::Operator;
use super::*;

const USER_CONF: &str = "home/.config/containers/containers.conf";
const PYTHON: &str = "terok-sandbox-supervisor-createRuntime.json";
const REPLACE: Options =
    Options { python_hooks: PythonHooks::SetAside, run: Run::Apply, proof: Proof::Skip };
const PLAIN: Options =
    Options { python_hooks: PythonHooks::Refuse, run: Run::Apply, proof: Proof::Skip };

/// A root directory with the programs beside a terokctl in `build`.
pub(super) struct Machine {
    directory: TempDir,
    pub(super) places: Places,
}

impl Machine {
    pub(super) fn rootless() -> Self {
        // The owner of the files is whoever runs the tests.
        let uid = nix::unistd::geteuid().as_raw();
        Self::of(Operator::User(uid), "home/.local/share/terok/sandbox")
    }

    pub(super) fn rootful() -> Self {
        Self::of(Operator::Root, "var/lib/terok/sandbox")
    }

    fn of(operator: Operator, state_dir: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let places = Places {
            operator,
            state_dir: root.join(state_dir),
            config_home: root.join("home/.config"),
            terokctl: root.join("build/terokctl"),
            system_root: root.to_owned(),
            containers_conf: None,
            containers_conf_override: None,
            lookup: Lookup::MergesMainFiles,
        };
        let machine = Self { directory, places };
        fs::create_dir(machine.root().join("home")).unwrap();
        machine.build("build", "v1");
        machine
    }

    pub(super) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn places(&self) -> Places {
        self.places.clone()
    }

    pub(super) fn write(&self, path: &str, text: &str) -> PathBuf {
        let file = self.root().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        file
    }

    pub(super) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.root().join(path)).unwrap()
    }

    fn build(&self, directory: &str, version: &str) {
        for program in PROGRAMS {
            let file =
                self.write(&format!("{directory}/{program}"), &format!("{program} {version}"));
            fs::set_permissions(file, Permissions::from_mode(0o755)).unwrap();
        }
    }

    pub(super) fn setup(&self) -> Result<Report, SetupError> {
        setup(&self.places, &PLAIN)
    }

    pub(super) fn uninstall(&self) -> Report {
        uninstall(&self.places, Run::Apply).unwrap()
    }

    pub(super) fn hooks_dir(&self) -> String {
        self.places.hooks_dir().display().to_string()
    }

    /// Every path below the root with type, mode and contents: equal means nothing happened.
    pub(super) fn snapshot(&self) -> Vec<(PathBuf, u32, String)> {
        let mut found = Vec::new();
        let mut todo = vec![self.root().to_owned()];
        while let Some(path) = todo.pop() {
            let metadata = fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            let text =
                if metadata.is_file() { fs::read_to_string(&path).unwrap() } else { "".into() };
            found.push((path, metadata.mode(), text));
        }
        found.sort();
        found
    }
}

fn outcomes(report: &Report) -> Vec<Outcome> {
    report.steps.iter().map(|(outcome, _)| *outcome).collect()
}

#[test]
fn a_fresh_users_machine_is_as_before_after_uninstall() {
    let machine = Machine::rootless();
    let before = machine.snapshot();
    assert!(outcomes(&machine.setup().unwrap()).iter().all(|outcome| *outcome == Outcome::Done));
    assert_eq!(
        machine.read(USER_CONF),
        format!(
            "[engine]\nhooks_dir = [\"/usr/share/containers/oci/hooks.d\", \"{}\"]\n",
            machine.hooks_dir()
        )
    );
    machine.uninstall();
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn setup_run_again_changes_nothing() {
    let machine = Machine::rootless();
    machine.setup().unwrap();
    let after_first = machine.snapshot();
    let report = machine.setup().unwrap();
    assert!(outcomes(&report).iter().all(|outcome| *outcome == Outcome::Unchanged), "{report}");
    assert_eq!(machine.snapshot(), after_first);
}

#[test]
fn a_dry_run_changes_nothing_and_names_the_same_steps() {
    let machine = Machine::rootless();
    let before = machine.snapshot();
    let dry = setup(&machine.places, &Options { run: Run::Dry, ..PLAIN }).unwrap();
    assert_eq!(machine.snapshot(), before);
    assert!(outcomes(&dry).iter().all(|outcome| *outcome == Outcome::Planned), "{dry}");
    let lines = |report: Report| report.steps.into_iter().map(|(_, line)| line).collect::<Vec<_>>();
    assert_eq!(lines(dry), lines(machine.setup().unwrap()));
}

#[test]
fn uninstall_run_again_changes_nothing() {
    let machine = Machine::rootless();
    machine.setup().unwrap();
    machine.uninstall();
    let report = machine.uninstall();
    assert!(outcomes(&report).iter().all(|outcome| *outcome == Outcome::Unchanged), "{report}");
}

#[test]
fn uninstall_removes_what_a_killed_setup_left() {
    let machine = Machine::rootless();
    let before = machine.snapshot();
    machine.setup().unwrap();
    machine.write("home/.local/share/terok/sandbox/libexec/.terok-hook.terokctl-new", "half");
    machine.write("home/.local/share/terok/sandbox/hooks/terok-supervisor-poststop.json", "");
    machine.uninstall();
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn uninstall_removes_what_the_git_gate_made_beside_its_program() {
    let machine = Machine::rootless();
    let before = machine.snapshot();
    machine.setup().unwrap();
    for link in ["hooks/pre-receive", "hooks/post-receive", "bin/silent"] {
        let link = machine.places.libexec_dir().join("git-home").join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink("../../terok-git-gate", link).unwrap();
    }
    machine.uninstall();
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn uninstall_leaves_everything_but_its_own() {
    let machine = Machine::rootless();
    machine.setup().unwrap();
    let state = "home/.local/share/terok/sandbox";
    let kept = ["sidecar/web.json", "logs/hook.log", "gate/x.git/HEAD", "hooks/theirs.json"];
    for name in kept {
        machine.write(&format!("{state}/{name}"), "kept");
    }
    machine.uninstall();
    for name in kept {
        assert_eq!(machine.read(&format!("{state}/{name}")), "kept");
    }
    let has = |name: &str| machine.places.state_dir.join(name).exists();
    assert!(!has("libexec") && !has("setup.json"));
    assert!(!has("hooks/terok-supervisor-poststop.json"));
}

#[test]
fn programs_and_descriptors_have_the_modes_podman_needs() {
    let machine = Machine::rootless();
    machine.setup().unwrap();
    let mode = |name: &str| {
        let metadata = fs::metadata(machine.places.state_dir.join(name)).unwrap();
        metadata.mode() & 0o7777
    };
    assert_eq!(mode("libexec"), 0o755);
    assert_eq!(mode("libexec/terok-hook"), 0o755);
    assert_eq!(mode("hooks"), 0o755);
    assert_eq!(mode("hooks/terok-supervisor-createRuntime.json"), 0o644);
    assert_eq!(mode("setup.json"), 0o600);
}

#[test]
fn descriptors_name_the_installed_hook() {
    let machine = Machine::rootless();
    machine.setup().unwrap();
    let file = machine.places.hooks_dir().join("terok-supervisor-createRuntime.json");
    let text = fs::read_to_string(file).unwrap();
    let descriptor: serde_json::Value = serde_json::from_str(&text).unwrap();
    let hook = machine.places.libexec_dir().join("terok-hook");
    assert_eq!(descriptor["hook"]["path"], hook.to_str().unwrap());
    assert_eq!(descriptor["hook"]["args"][1], "createRuntime");
}

#[test]
fn an_upgrade_leaves_running_programs_their_file() {
    let machine = Machine::rootless();
    machine.setup().unwrap();
    let installed = machine.places.libexec_dir().join("terok-supervisor");
    let running = File::open(&installed).unwrap();
    machine.build("build", "v2");
    machine.setup().unwrap();
    assert_eq!(std::io::read_to_string(running).unwrap(), "terok-supervisor v1");
    assert_eq!(fs::read_to_string(installed).unwrap(), "terok-supervisor v2");
}

#[test]
fn a_system_installation_is_used_where_it_is() {
    for prefix in ["usr", "usr/local"] {
        let mut machine = Machine::rootless();
        machine.build(&format!("{prefix}/libexec/terok"), "packaged");
        machine.places.terokctl = machine.root().join(prefix).join("bin/terokctl");
        machine.setup().unwrap();
        assert!(!machine.places.libexec_dir().exists());
        let text =
            machine.read("home/.local/share/terok/sandbox/hooks/terok-supervisor-poststop.json");
        let hook = machine.root().join(prefix).join("libexec/terok/terok-hook");
        assert!(text.contains(&format!("\"path\": \"{}\"", hook.display())), "{text}");
    }
}

#[test]
fn what_root_sets_up_can_be_read_by_every_users_podman() {
    // Of the test's owner in the place of root.
    let uid = nix::unistd::geteuid();
    if !uid.is_root() {
        return;
    }
    let machine = Machine::rootful();
    // As `vault init` makes it.
    let parent = machine.root().join("var/lib/terok");
    fs::create_dir_all(&parent).unwrap();
    fs::set_permissions(&parent, Permissions::from_mode(0o700)).unwrap();
    machine.setup().unwrap();
    let open = |path: &Path| fs::metadata(path).unwrap().mode() & 0o005;
    assert_eq!(open(&parent) & 1, 1);
    assert_eq!(open(&machine.places.state_dir), 1, "others pass through and list nothing");
    assert_eq!(open(&machine.places.hooks_dir()), 5);
    assert_eq!(open(&machine.places.libexec_dir()), 5);
}

#[test]
fn a_place_that_other_users_cannot_reach_is_refused_for_the_system() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let mut machine = Machine::rootful();
    let closed = machine.root().join("root");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    machine.places.state_dir = closed.join("state");
    let before = machine.snapshot();
    let error = machine.setup().unwrap_err();
    assert!(matches!(error, SetupError::Programs(programs::Error::Closed { .. })), "{error}");
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn a_missing_program_is_named_and_nothing_changes() {
    let machine = Machine::rootless();
    fs::remove_file(machine.root().join("build/terok-git-gate")).unwrap();
    let before = machine.snapshot();
    let error = machine.setup().unwrap_err().to_string();
    assert!(error.contains("terok-git-gate") && error.contains("\nhint: "), "{error}");
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn the_python_packages_hooks_are_refused_with_the_way_out() {
    let machine = Machine::rootless();
    machine.write(&format!("home/.local/share/terok/sandbox/hooks/{PYTHON}"), "{}");
    let before = machine.snapshot();
    let error = machine.setup().unwrap_err().to_string();
    assert!(error.contains(PYTHON) && error.contains("setup --replace"), "{error}");
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn the_python_packages_hooks_are_found_in_any_directory_in_force() {
    let machine = Machine::rootless();
    let theirs = machine.write(&format!("opt/hooks/{PYTHON}"), "{}");
    let directory = theirs.parent().unwrap().display().to_string();
    machine.write(USER_CONF, &format!("[engine]\nhooks_dir = [\"{directory}\"]\n"));
    assert!(matches!(
        machine.setup(),
        Err(SetupError::Hooks(hook_config::Error::PythonPackage { .. }))
    ));
}

#[test]
fn replaced_python_hooks_come_back_with_uninstall() {
    let machine = Machine::rootless();
    let theirs =
        machine.write(&format!("home/.local/share/terok/sandbox/hooks/{PYTHON}"), "theirs");
    let listed = format!("[engine]\nhooks_dir = [\"{}\"]\n", machine.hooks_dir());
    machine.write(USER_CONF, &listed);
    setup(&machine.places, &REPLACE).unwrap();
    assert!(!theirs.exists());
    machine.setup().expect("set aside, they are no obstacle any more");
    machine.uninstall();
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
    assert_eq!(machine.read(USER_CONF), listed, "their entry was not ours to remove");
}

#[test]
fn python_hooks_installed_anew_are_not_overwritten_by_uninstall() {
    let machine = Machine::rootless();
    let path = format!("home/.local/share/terok/sandbox/hooks/{PYTHON}");
    machine.write(&path, "old");
    setup(&machine.places, &REPLACE).unwrap();
    machine.write(&path, "new");
    machine.uninstall();
    assert_eq!(machine.read(&path), "new");
    assert!(!machine.root().join(format!("{path}.set-aside-by-terokctl")).exists());
}

#[test]
fn a_step_that_fails_undoes_the_ones_before_it() {
    let machine = Machine::rootless();
    machine.setup().unwrap();
    machine.build("build", "v2");
    // A directory in the place of a descriptor: only the rename itself finds out.
    let in_the_way = machine.places.hooks_dir().join("terok-supervisor-poststop.json");
    fs::remove_file(&in_the_way).unwrap();
    fs::create_dir(&in_the_way).unwrap();
    let before = machine.snapshot();
    let error = machine.setup().unwrap_err();
    assert!(matches!(&error, SetupError::Failed { left, .. } if left.is_empty()), "{error}");
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn a_second_setup_at_the_same_time_is_refused() {
    let machine = Machine::rootless();
    machine.setup().unwrap();
    let _lock = lock(&machine.places).unwrap();
    assert!(matches!(machine.setup(), Err(SetupError::Busy(_))));
}

#[test]
fn a_relative_state_directory_is_refused() {
    let mut machine = Machine::rootless();
    machine.places.state_dir = "relative".into();
    assert!(matches!(machine.setup(), Err(SetupError::Path(_))));
}

#[test]
fn a_state_directory_of_another_user_is_refused() {
    let mut machine = Machine::rootless();
    fs::create_dir_all(&machine.places.state_dir).unwrap();
    machine.places.operator = Operator::User(machine.places.operator.uid() + 1);
    assert!(matches!(machine.setup(), Err(SetupError::Programs(programs::Error::Foreign { .. }))));
}

//! Which file setup writes, what it keeps in it, and what uninstall leaves.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::super::tests::Machine;
use super::super::{Run, SetupError, uninstall};
use super::*;

const USER_CONF: &str = "home/.config/containers/containers.conf";
const ROOT_CONF: &str = "etc/containers/containers.conf";

#[test]
fn a_users_comments_and_entries_are_kept_and_restored_byte_for_byte() {
    let machine = Machine::rootless();
    let text =
        "# mine\n[containers]\ntz = \"local\" # here\n\n[engine]\n# none yet\nruntime='crun'\n";
    machine.write(USER_CONF, text);
    machine.setup().unwrap();
    let now = machine.read(USER_CONF);
    assert!(text.lines().all(|line| now.contains(line)), "{now}");
    assert_eq!(now.lines().count(), text.lines().count() + 1);
    machine.uninstall();
    assert_eq!(machine.read(USER_CONF), text);
}

#[test]
fn root_registers_below_etc_and_not_in_a_home() {
    if !nix::unistd::geteuid().is_root() {
        return; // directories of the test would have to belong to root
    }
    let machine = Machine::rootful();
    let before = machine.snapshot();
    machine.setup().unwrap();
    assert!(machine.read(ROOT_CONF).contains(&machine.hooks_dir()));
    assert!(!machine.root().join(USER_CONF).exists());
    machine.uninstall();
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn roots_empty_list_grows_by_the_places_it_stood_for() {
    if !nix::unistd::geteuid().is_root() {
        return; // directories of the test would have to belong to root
    }
    let machine = Machine::rootful();
    machine.write(ROOT_CONF, "[engine]\nhooks_dir = []\n");
    machine.setup().unwrap();
    let expected = ["/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"];
    let now = in_force(&machine.places).unwrap();
    assert_eq!(now[..2], expected.map(PathBuf::from));
    machine.uninstall();
    assert_eq!(machine.read(ROOT_CONF), "[engine]\nhooks_dir = []\n");
}

#[test]
fn hooks_of_lower_files_stay_in_force() {
    let machine = Machine::rootless();
    machine.write("usr/share/containers/containers.conf", "[engine]\nhooks_dir = [\"/vendor\"]\n");
    machine.write(ROOT_CONF, "[engine]\nhooks_dir = [\"/admin\"]\n");
    machine
        .write("etc/containers/containers.conf.d/50-x.conf", "[engine]\nhooks_dir = [\"/drop\"]\n");
    let before = in_force(&machine.places).unwrap();
    assert_eq!(before, [PathBuf::from("/drop")]);
    machine.setup().unwrap();
    let after = in_force(&machine.places).unwrap();
    assert_eq!(after, [PathBuf::from("/drop"), machine.places.hooks_dir()]);
}

#[test]
fn a_later_file_that_hides_ours_is_refused_until_it_lists_us() {
    let machine = Machine::rootless();
    let later = "home/.config/containers/containers.conf.d/99.conf";
    machine.write(later, "[engine]\nhooks_dir = [\"/theirs\"]\n");
    let before = machine.snapshot();
    let error = machine.setup().unwrap_err();
    assert!(error.to_string().contains("99.conf"), "{error}");
    assert_eq!(machine.snapshot(), before);

    let listed = format!("[engine]\nhooks_dir = [\"/theirs\", \"{}\"]\n", machine.hooks_dir());
    machine.write(later, &listed);
    machine.setup().unwrap();
    machine.uninstall();
    assert_eq!(machine.read(later), listed, "what setup did not write, it does not remove");
}

#[test]
fn a_later_file_that_appends_is_no_obstacle() {
    let machine = Machine::rootless();
    machine.write(
        "home/.config/containers/containers.conf.d/99.conf",
        "[engine]\nhooks_dir = [\"/theirs\", {append=true}]\n",
    );
    machine.setup().unwrap();
    assert!(in_force(&machine.places).unwrap().contains(&machine.places.hooks_dir()));
}

#[test]
fn podman_6_gets_a_drop_in_that_goes_again() {
    let mut machine = Machine::rootless();
    machine.places.lookup = Lookup::FirstMainFile;
    machine.write(ROOT_CONF, "[engine]\nruntime = \"crun\"\n");
    let before = machine.snapshot();
    machine.setup().unwrap();
    assert!(!machine.root().join(USER_CONF).exists(), "it would hide the administrator's file");
    assert!(in_force(&machine.places).unwrap().contains(&machine.places.hooks_dir()));
    machine.uninstall();
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn containers_conf_from_the_environment_is_written_alone() {
    let mut machine = Machine::rootless();
    machine.places.containers_conf = Some(machine.root().join("own/podman.conf"));
    let before = machine.snapshot();
    machine.setup().unwrap();
    assert!(machine.read("own/podman.conf").contains(&machine.hooks_dir()));
    assert!(!machine.root().join(USER_CONF).exists());
    machine.uninstall();
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn a_symlinked_file_stays_a_link_and_its_target_is_edited() {
    let machine = Machine::rootless();
    let target = machine.write("dotfiles/containers.conf", "[engine]\n");
    fs::set_permissions(&target, Permissions::from_mode(0o640)).unwrap();
    let link = machine.root().join(USER_CONF);
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(&target, &link).unwrap();
    machine.setup().unwrap();
    assert!(link.is_symlink());
    assert!(machine.read("dotfiles/containers.conf").contains(&machine.hooks_dir()));
    assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o640);
    machine.uninstall();
    assert_eq!(machine.read("dotfiles/containers.conf"), "[engine]\n");
}

#[test]
fn a_link_to_nothing_is_refused() {
    let machine = Machine::rootless();
    let link = machine.root().join(USER_CONF);
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink("/nonexistent/containers.conf", &link).unwrap();
    let before = machine.snapshot();
    assert!(matches!(machine.setup(), Err(SetupError::Config(Error::Dangling { .. }))));
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn an_unparsable_file_is_refused_with_its_line_and_left_alone() {
    let machine = Machine::rootless();
    machine.write(USER_CONF, "[engine]\n\nruntime = crun\n");
    let before = machine.snapshot();
    let error = machine.setup().unwrap_err().to_string();
    assert!(error.contains(USER_CONF) && error.contains("line 3"), "{error}");
    assert_eq!(machine.snapshot(), before);
}

#[test]
fn a_file_broken_after_setup_makes_uninstall_refuse_and_change_nothing() {
    let machine = Machine::rootless();
    machine.setup().unwrap();
    machine.write(USER_CONF, "[engine\n");
    let before = machine.snapshot();
    assert!(uninstall(&machine.places, Run::Apply).is_err());
    assert_eq!(machine.snapshot(), before);
}

//! `--only-below`: on a node whose annotations are written by pod authors, a sidecar elsewhere is
//! as good as none.

use std::fs::{self, DirBuilder};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use terok_tests::container::Container;
use terok_tests::house::House;
use terok_tests::programs;
use terok_tests::runtime::{self, Runtime, Stage};

/// Calls the hook as CRI-O's descriptor would; `node` is the node's own state root.
fn hook(container: &Container<'_>, stage: Stage, only_below: &Path, node: &Path) -> ExitStatus {
    let house = container.house();
    let word = match stage {
        Stage::CreateRuntime | Stage::Prestart => "createRuntime",
        Stage::Poststop => "poststop",
    };
    let mut command = Command::new(house.programs().path(programs::HOOK));
    command.arg(word).arg("--only-below").arg(only_below).arg("--state-root").arg(node);
    command.env_clear().stdin(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let state = runtime::state(container, Runtime::Runc, stage).to_string();
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    // One that has refused its arguments does not read it.
    let _ = stdin.write_all(state.as_bytes());
    drop(stdin);
    child.wait().unwrap()
}

fn own_directory(house: &House, name: &str) -> PathBuf {
    let path = house.path().join(name);
    DirBuilder::new().mode(0o700).create(&path).unwrap();
    path
}

#[test]
fn a_sidecar_below_the_root_is_served() {
    let house = House::new();
    let node = own_directory(&house, "node");
    let web = house.container(&house.sidecar("web"));
    assert!(hook(&web, Stage::CreateRuntime, house.state_root().path(), &node).success());
    assert!(web.living().is_some(), "{}", house.diary());
    assert!(hook(&web, Stage::Poststop, house.state_root().path(), &node).success());
}

#[test]
fn a_sidecar_elsewhere_gets_no_supervisor_and_nothing_is_written_there() {
    let house = House::new();
    let (node, root) = (own_directory(&house, "node"), own_directory(&house, "admin"));
    // It would refuse the start, if it were asked.
    let web = house.container(&house.sidecar("web").with("required", true));
    let before = entries(house.state_root().path());
    for stage in [Stage::CreateRuntime, Stage::Poststop] {
        assert!(hook(&web, stage, &root, &node).success());
    }
    assert!(house.processes().is_empty());
    assert_eq!(entries(house.state_root().path()), before);
    let diary = fs::read_to_string(node.join("logs/hook.log")).unwrap();
    assert_eq!(diary.matches("is not below").count(), 2, "{diary}");
}

#[test]
fn a_running_supervisor_elsewhere_is_out_of_reach() {
    let house = House::new();
    let (node, root) = (own_directory(&house, "node"), own_directory(&house, "admin"));
    let web = house.container(&house.sidecar("web"));
    let tree = web.start();
    assert!(hook(&web, Stage::Poststop, &root, &node).success());
    assert!(tree.parent.is_alive());
}

#[test]
fn a_root_that_is_not_absolute_means_that_nothing_is_done() {
    let house = House::new();
    let node = own_directory(&house, "node");
    let web = house.container(&house.sidecar("web"));
    assert!(hook(&web, Stage::CreateRuntime, Path::new("state"), &node).success());
    assert!(house.processes().is_empty());
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

//! The commands of docs/runtimes.md and docs/kubernetes.md that need an engine, or a node's
//! administrator, run as they are written: the blocks are taken out of the documents. Only
//! directories differ, which are a place's own, and the sockets that the engines listen on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};
use terok_tests::document::{Block, Document};

use crate::containerd::Daemon;
use crate::machine::Runtime;
use crate::place::Place;
use crate::{bundle, containerd, docker, skip};

/// Programs of the system before what lies in /usr/local.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
/// What documents call their image.
const IMAGE: &str = "localhost/agent";

/// The one block of a document with this language and this word behind it.
#[track_caller]
fn block(document: &str, language: &str, attributes: &str) -> String {
    // Read when it is compiled: whoever runs the tests need not be able to read the checkout.
    let text = match document {
        "runtimes.md" => include_str!("../../docs/runtimes.md"),
        "kubernetes.md" => include_str!("../../docs/kubernetes.md"),
        other => panic!("no commands of {other} are run here"),
    };
    let document = Document { path: PathBuf::from(document), text: text.to_owned() };
    let fits = |block: &Block| block.language == language && block.attributes == attributes;
    let mut blocks = document.blocks().into_iter().filter(fits);
    let block = blocks.next().unwrap_or_else(|| panic!("no block {language} {attributes}"));
    assert_eq!(blocks.next(), None, "another block {language} {attributes}");
    block.text
}

/// The same words, with this place's directories.
fn here(place: &Place, text: &str) -> String {
    let path = |below: &str| place.path(below).to_str().unwrap().to_owned();
    text.replace("/var/lib/terok/sandbox", &path("state"))
        .replace("/run/terok/sandbox", &path("run/terok/sandbox"))
        .replace("/srv/web", &path("bundle"))
        .replace("/srv/rootfs", &path("rootfs"))
}

/// Types a block at root's shell, on a machine where this runtime works.
fn typed(place: &Place, runtime: Runtime, text: &str) -> Output {
    let programs = place.terokctl_program().parent().expect("a program is in a directory");
    let mut shell = runtime.command(place, Path::new("/bin/bash"));
    shell
        .env("PATH", format!("{}:{PATH}", programs.display()))
        .env("DOCKER_HOST", docker::host(place))
        .env("CONTAINERD_ADDRESS", containerd::socket(place))
        // crun keeps its containers below it.
        .env("XDG_RUNTIME_DIR", place.path("run"))
        .args(["-euo", "pipefail", "-c", &here(place, text)]);
    shell.output().unwrap()
}

#[test]
fn the_commands_for_a_bundle_work() {
    if !skip::root_with("the documented bundle", &["crun", "busybox", "curl"]) {
        return;
    }
    let place = Place::new();
    bundle::bundle(&place);
    // This root may lack what cgroups need; hooks have nothing to do with them.
    let without_cgroups = "crun() { command crun --cgroup-manager=disabled \"$@\"; }\n";
    let commands = block("runtimes.md", "sh", "bundle");
    place.expect_served(&typed(&place, Runtime::Crun, &(without_cgroups.to_owned() + &commands)));
    place.expect_gone();
}

#[test]
fn the_commands_for_docker_work_with_the_option() {
    docker_runs_as_documented(|place| {
        let command = here(place, &block("runtimes.md", "sh", "dockerd"));
        let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        docker::start_with(place, &words[1..], &json!({}))
    });
}

#[test]
fn the_commands_for_docker_work_with_the_file() {
    docker_runs_as_documented(|place| {
        let file = here(place, &block("runtimes.md", "json", ""));
        docker::start_with(place, &[], &serde_json::from_str(&file).unwrap())
    });
}

fn docker_runs_as_documented(start: impl FnOnce(&Place) -> Daemon) {
    if !skip::root_with("the documented Docker", &docker::PROGRAMS) {
        return;
    }
    let mut place = Place::new();
    place.prepare_as_documented();
    let _containerd = containerd::start(&place);
    let _docker = start(&place);
    docker::import(&place, IMAGE);
    let commands = block("runtimes.md", "sh", "docker");
    place.expect_served(&typed(&place, Runtime::Runc, &commands));
    place.expect_gone();
}

#[test]
fn the_command_for_containerd_works() {
    if !skip::root_with("the documented containerd", &containerd::PROGRAMS) {
        return;
    }
    let mut place = Place::new();
    place.prepare_as_documented();
    fs::write(place.installed("terok-runtime.conf"), "real-runtime = runc\n").unwrap();
    let _daemon = containerd::start(&place);
    let commands = block("runtimes.md", "sh", "containerd");
    place.expect_served(&typed(&place, Runtime::Runc, &commands));
    place.expect_gone();
}

/// What an administrator types on a node of a cluster gives what the pod's manifest expects.
#[test]
fn the_commands_for_a_node_prepare_what_its_pod_names() {
    if !skip::with("the documented node", &["busybox", "curl"]) {
        return;
    }
    let place = Place::new();
    // Where a person is asked: a place has a vault already, and no terminal.
    let script = format!(
        "terokctl() {{\n\
           case \"$1 $2\" in\n\
             'vault init') ;;\n\
             'vault add') command terokctl \"$@\" --from-file {} ;;\n\
             *) command terokctl \"$@\" ;;\n\
           esac\n\
         }}\n",
        place.path("credential").display()
    );
    let commands = script + &block("kubernetes.md", "sh", "node").replace("terokctl setup\n", "");
    let output = typed(&place, Runtime::Runc, &commands);
    assert!(output.status.success(), "{output:?}");
    let sidecars = place.path("state/sidecar");
    let sidecar = fs::read(sidecars.join("agent-7f3a9c.json")).unwrap();
    let sidecar: Value = serde_json::from_slice(&sidecar).unwrap();
    assert_eq!(sidecar["required"], true);
    assert_eq!(sidecar["loopback"]["vault"], 9419);
    let variables = fs::read_to_string(sidecars.join("agent-7f3a9c.env")).unwrap();
    let token = |line: &str| line.starts_with("TEROK_ANTHROPIC_TOKEN=");
    assert!(variables.lines().any(token), "{variables}");
}

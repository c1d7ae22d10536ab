//! The commands of docs/runtimes.md and docs/kubernetes.md that need an engine, kubectl, or a node's
//! administrator, run as they are written: the blocks are taken out of the documents. Only
//! directories differ, which are a place's own, and the sockets that engines and cluster listen on.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use terok_tests::document::{Block, Document};
use terok_tests::upstream::Upstream;

use crate::containerd::Daemon;
use crate::machine::Runtime;
use crate::place::Place;
use crate::{bundle, cluster, containerd, docker, podman, skip};

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

#[test]
fn the_command_for_podman_with_the_wrapper_works() {
    if !skip::root_with("the documented wrapper", &[&podman::PROGRAMS[..], &["crun"]].concat()) {
        return;
    }
    let mut place = Place::new();
    place.prepare_as_documented();
    let own = podman::store(&place).join(" ");
    place.import_into(podman::in_store(&place), IMAGE);
    // This root may lack what limits and cgroups need. The file's last table is [containers].
    let conf = place.containers_conf_without_hooks();
    let limits = "default_ulimits = [\"nofile=1024:1024\", \"nproc=1024:1024\"]";
    let text = fs::read_to_string(&conf).unwrap() + "cgroups = \"disabled\"\n" + limits + "\n";
    fs::write(&conf, text).unwrap();
    let conf = conf.display();
    let podman = format!("podman() {{ CONTAINERS_CONF={conf} command podman {own} \"$@\"; }}\n");
    let commands = podman + &block("runtimes.md", "sh", "wrapper");
    place.expect_served(&typed(&place, Runtime::Crun, &commands));
    place.expect_gone();
}

/// Types what an administrator types on a node of a cluster.
fn prepare_a_node(place: &Place) {
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
    let output = typed(place, Runtime::Runc, &commands);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_commands_for_a_node_prepare_what_its_pod_names() {
    if !skip::with("the documented node", &["busybox", "curl"]) {
        return;
    }
    let place = Place::new();
    prepare_a_node(&place);
    let sidecars = place.path("state/sidecar");
    let sidecar = fs::read(sidecars.join("agent-7f3a9c.json")).unwrap();
    let sidecar: Value = serde_json::from_slice(&sidecar).unwrap();
    assert_eq!(sidecar["required"], true);
    assert_eq!(sidecar["loopback"]["vault"], 9419);
    let variables = fs::read_to_string(sidecars.join("agent-7f3a9c.env")).unwrap();
    let token = |line: &str| line.starts_with("TEROK_ANTHROPIC_TOKEN=");
    assert!(variables.lines().any(token), "{variables}");
}

/// Types a line for kubectl, which speaks to `cluster`.
fn typed_for(cluster: &Upstream, place: &Place, text: &str) -> String {
    let kubectl = skip::program("kubectl");
    let home = place.path("home");
    let script = format!(
        "kubectl() {{ HOME={} {} --server {} \"$@\"; }}\n{text}",
        home.display(),
        kubectl.display(),
        cluster.url()
    );
    let output = typed(place, Runtime::Runc, &script);
    assert!(output.status.success(), "{output:?}\n{:#?}", cluster.seen());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn kubectl_makes_the_secret_and_the_label_that_the_manifests_name() {
    if !skip::with("the documented kubectl", &["busybox", "curl", "kubectl"]) {
        return;
    }
    let (place, cluster) = (Place::new(), cluster::start());
    prepare_a_node(&place);
    let said = typed_for(&cluster, &place, &block("kubernetes.md", "sh", "secret"));
    assert_eq!(said, "secret/agent-7f3a9c created\n");
    let asked = cluster.seen();
    let post = asked.iter().find(|asked| asked.starts_with("POST ")).expect("it was made");
    assert!(post.starts_with("POST /api/v1/namespaces/default/secrets"), "{post}");
    // JSON has values in base64, protobuf has them as they are.
    let variables = fs::read_to_string(place.path("state/sidecar/agent-7f3a9c.env")).unwrap();
    let token = variables.lines().find_map(|line| line.strip_prefix("TEROK_ANTHROPIC_TOKEN="));
    let token = token.expect("prepare minted one");
    let forms = [token.to_owned(), BASE64_STANDARD.encode(token)];
    assert!(post.contains("TEROK_ANTHROPIC_TOKEN"), "{post}");
    assert!(forms.iter().any(|form| post.contains(form)), "{post}");

    let said = typed_for(&cluster, &place, &block("kubernetes.md", "sh", "label"));
    assert_eq!(said, "node/worker-1 labeled\n");
    let asked = cluster.seen();
    let patch = asked.iter().find(|asked| asked.starts_with("PATCH ")).expect("it was labelled");
    assert!(patch.starts_with("PATCH /api/v1/nodes/worker-1"), "{patch}");
    assert!(
        patch.ends_with(r#"{"metadata":{"labels":{"terok.example/served":"true"}}}"#),
        "{patch}"
    );

    let manifests = include_str!("../../docs/kubernetes.md");
    assert!(manifests.contains("secretKeyRef: {name: agent-7f3a9c, key: TEROK_ANTHROPIC_TOKEN}"));
    assert!(manifests.contains("nodeSelector:\n    terok.example/served: \"true\""));
}

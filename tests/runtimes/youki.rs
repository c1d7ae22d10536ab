//! youki's way to call a hook, from its sources (crates/libcontainer/src/hooks.rs): no environment
//! at all, standard output to nowhere, the bundle as working directory, and a state that is either
//! the specification's or, before it learned to convert, youki's own with further members.

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use serde_json::Value;
use terok_shared::service::Service;
use terok_tests::container::Container;
use terok_tests::eventually::eventually;
use terok_tests::fixtures;
use terok_tests::house::House;
use terok_tests::programs;

fn state(container: &Container<'_>, name: &str) -> Value {
    let mut state = fixtures::json(&format!("oci/{name}.state.json"));
    state["id"] = container.id().as_str().into();
    state["bundle"] = container.house().bundle().to_str().unwrap().into();
    if state.get("pid").is_some() {
        state["pid"] = container.pid().into();
    }
    let sidecar = container.sidecar().to_str().unwrap();
    state["annotations"][terok_shared::annotation::KEY] = sidecar.into();
    state
}

fn run_hook(house: &House, stage: &str, state: &Value) -> ExitStatus {
    let hook = house.programs().path(programs::HOOK);
    let mut command = Command::new(hook);
    command.arg(stage).env_clear().current_dir(house.bundle());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    stdin.write_all(state.to_string().as_bytes()).unwrap();
    drop(stdin);
    child.wait().unwrap()
}

fn serves_and_ends(shape: &str) {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let created = state(&web, &format!("{shape}.createRuntime"));
    assert!(run_hook(&house, "createRuntime", &created).success());
    let health = terok_tests::http::get(&web.endpoint(Service::Broker), "/-/health", &[]).unwrap();
    assert_eq!(health.status, 200);

    let mut web = web;
    web.die();
    let stopped = state(&web, &format!("{shape}.poststop"));
    assert!(run_hook(&house, "poststop", &stopped).success());
    eventually("nobody is left", || house.processes().is_empty());
    assert!(Path::new(web.sidecar()).exists());
}

#[test]
fn a_container_of_youki_is_served_and_ends() {
    serves_and_ends("youki");
}

#[test]
fn a_container_of_an_older_youki_with_a_state_of_its_own_is_served_and_ends() {
    serves_and_ends("youki-0.5");
}

//! createRuntime: everything is bound when the hook returns, once, by a process that kept nothing
//! of the runtime's.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::unistd::{Pid, getpgid};
use serde_json::json;
use terok_shared::service::Service;
use terok_tests::house::House;
use terok_tests::runtime::{Runtime, Stage};
use terok_tests::sidecar::Sidecar;
use terok_tests::stream::Stream;
use terok_tests::{fixtures, tree};

const WITH_CLIENTS: [Service; 3] = [Service::Broker, Service::Signer, Service::Gate];

fn with_everything(house: &House) -> Sidecar {
    house.sidecar("web").with_gate(house)
}

/// Dumpable, so that the kernel shows its descriptors and environment to every tester.
fn open_to_look_at(house: &House) -> Sidecar {
    with_everything(house).with("allow_debugger", true)
}

#[test]
fn every_socket_accepts_once_create_runtime_returns() {
    for runtime in Runtime::ALL {
        let house = House::new();
        let web = house.container(&with_everything(&house));
        let run = web.hook(runtime, Stage::CreateRuntime);
        assert!(run.status.success(), "{run:?}");
        for service in WITH_CLIENTS {
            Stream::connect(&web.endpoint(service)).unwrap();
            let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&web.socket(service)), 0o600);
            assert_eq!(mode(web.socket(service).parent().unwrap()), 0o700);
        }
        println!("{runtime:?}: createRuntime took {:?}", run.took);
    }
}

#[test]
fn a_runtime_that_waits_for_the_hooks_output_is_not_kept_waiting() {
    let house = House::new();
    let web = house.container(&with_everything(&house));
    // It returns only at the end of the hook's output.
    let run = web.hook(Runtime::Runc, Stage::CreateRuntime);
    assert!(run.said.contains("listening after"), "{run:?}");
    assert!(web.living().is_some());
}

#[test]
fn the_pid_file_names_the_leader_first_and_the_container_too() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let tree = web.start();
    let text = std::fs::read_to_string(web.pid_file()).unwrap();
    assert!(text.starts_with(&format!("{}\n", tree.parent.pid())), "{text:?}");
    let living = web.living().unwrap();
    assert_eq!(living.container.unwrap().pid(), web.pid());
    assert_eq!(web.pid_file().metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn the_supervisor_leads_a_session_of_its_own_in_the_root_directory() {
    let house = House::new();
    let web = house.container(&open_to_look_at(&house));
    let tree = web.start_serving(&Service::ALL);
    let leader = tree.parent.pid();
    assert_eq!(getpgid(Some(Pid::from_raw(leader))).unwrap(), Pid::from_raw(leader));
    for (name, process) in tree.members() {
        assert_eq!(tree::session(process), Some(leader), "{name}");
        assert_eq!(tree::working_directory(process), Path::new("/"), "{name}");
    }
}

#[test]
fn no_process_keeps_a_descriptor_of_the_runtimes() {
    let house = House::new();
    let web = house.container(&open_to_look_at(&house));
    let tree = web.start_serving(&Service::ALL);
    let log = house.state_root().container_log(web.id());
    for (name, process) in tree.members() {
        let descriptors = tree::descriptors(process).unwrap();
        assert_eq!(descriptors[&2], log.to_str().unwrap(), "{name}");
        for (number, target) in &descriptors {
            let ours = ["socket:", "pipe:", "anon_inode:", "/dev/null", "/proc/"]
                .iter()
                .any(|start| target.starts_with(start));
            let state = target.starts_with(house.path().to_str().unwrap())
                && *target != house.stray_file().to_str().unwrap();
            assert!(ours || state, "{name} has {number} -> {target}");
        }
    }
}

#[test]
fn signals_are_as_at_login_whatever_the_runtime_left() {
    for runtime in Runtime::ALL {
        let house = House::new();
        let web = house.container(&with_everything(&house));
        assert!(web.hook(runtime, Stage::CreateRuntime).status.success());
        let tree = tree::Tree { parent: web.living().unwrap().supervisor };
        // All of them, so that none runs its passphrase helper any more.
        for service in Service::ALL {
            web.logged(&format!("{service} is ready"));
        }
        for (name, process) in tree.members() {
            assert_eq!(tree::mask(process, "SigBlk"), 0, "{name}");
            // SIGPIPE stays ignored: a closed peer is an error of the write. glibc keeps 32 and 33
            // for itself, and whoever started this test may have left them ignored.
            let ignored = tree::mask(process, "SigIgn") & !(0b11 << 31);
            assert_eq!(ignored, 1 << 12, "{name}");
        }
    }
}

#[test]
fn the_environment_is_built_from_nothing() {
    let house = House::new();
    let web = house.container(&open_to_look_at(&house));
    let tree = web.start_serving(&Service::ALL);
    for (name, process) in tree.members() {
        for (variable, value) in tree::environment(process) {
            let known = ["PATH", "LANG", "HOME", "XDG_RUNTIME_DIR"].contains(&variable.as_str());
            assert!(known, "{name} has {variable}");
            assert!(!value.contains("terok/bin"), "{name} has the runtime's {variable}={value}");
        }
    }
}

#[test]
fn the_diary_says_who_listens_where() {
    let house = House::new();
    let web = house.container(&with_everything(&house));
    let tree = web.start();
    let diary = house.diary();
    assert_eq!(diary.lines().count(), 1, "{diary}");
    let begin = format!("[{}] supervisor {} listening", web.id().short(), tree.parent.pid());
    assert!(diary.contains(&begin), "{diary}");
    for service in WITH_CLIENTS {
        assert!(diary.contains(&format!("{service} {}", web.endpoint(service))), "{diary}");
    }
}

#[test]
fn a_second_hook_finds_the_first_ones_supervisor() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let tree = web.start();
    for stage in [Stage::CreateRuntime, Stage::Prestart] {
        assert!(web.hook(Runtime::Crun, stage).status.success());
    }
    assert_eq!(web.living().unwrap().supervisor, tree.parent);
    assert_eq!(house.diary().matches("is already running").count(), 2, "{}", house.diary());
    assert!(tree.parent.is_alive());
}

#[test]
fn hooks_at_the_same_time_start_one_supervisor() {
    let house = House::new();
    for round in 0..10 {
        // Without its vault: what is raced for is the start.
        let sidecar = house.sidecar(&format!("web{round}"));
        let web = house.container(&sidecar);
        std::thread::scope(|hooks| {
            for stage in [Stage::Prestart, Stage::CreateRuntime] {
                let web = &web;
                hooks.spawn(move || assert!(web.hook(Runtime::Crun, stage).status.success()));
            }
        });
        // A child that does not execute its own program yet still has its parent's arguments.
        let parents = house.processes().into_iter().filter(|process| {
            let arguments = process.arguments().unwrap_or_default();
            arguments.iter().any(|word| word == web.id().as_str().as_bytes())
                && tree::session(*process) == Some(process.pid())
        });
        assert_eq!(parents.count(), 1, "round {round}");
        let lines = house.diary();
        let lines: Vec<&str> = lines.lines().filter(|l| l.contains(web.id().short())).collect();
        assert!(lines.iter().any(|line| line.contains("is already running")), "{lines:?}");
    }
}

#[test]
fn a_container_without_our_annotation_is_passed_over_in_silence() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let state = json!({"ociVersion": "1.0", "id": "abc", "status": "created", "pid": web.pid(),
        "bundle": "/", "annotations": {"io.container.manager": "libpod"}});
    for stage in [Stage::CreateRuntime, Stage::Poststop] {
        let run = web.hook_with(Runtime::Runc, stage, state.to_string().as_bytes());
        assert!(run.status.success() && run.said.is_empty(), "{run:?}");
    }
    assert_eq!(house.diary(), "");
}

#[test]
fn a_sidecar_of_an_existing_launcher_works_unchanged() {
    let house = House::new();
    let text = fixtures::text("sidecar/socket.json");
    let root = house.path().to_str().unwrap();
    // The same file, its paths led into this house and its keyring left alone.
    let text = text
        .replace("/home/operator/.local/share/terok/vault", &format!("{root}/vault"))
        .replace("/home/operator/.local/share/terok/sandbox", &format!("{root}/state"))
        .replace("/home/operator/.secrets/vault-pass", &format!("{root}/vault/passphrase"))
        .replace("/run/user/1002/terok/sandbox", &format!("{root}/run/terok/sandbox"))
        .replace(r#""credentials_use_keyring": true"#, r#""credentials_use_keyring": false"#);
    let web = house.container(&house.sidecar("c1"));
    terok_tests::sidecar::write(web.sidecar(), &text);
    web.start_serving(&Service::ALL);
}

#[test]
fn an_older_sidecar_without_optional_keys_works() {
    let house = House::new();
    house.unlock();
    let old = ["routes_path", "credentials_use_keyring", "credentials_passphrase_command"]
        .into_iter()
        .fold(house.sidecar("web"), Sidecar::without);
    let web = house.container(&old);
    web.start_serving(&[Service::Keeper, Service::Broker, Service::Signer]);
}

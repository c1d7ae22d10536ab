//! Sidecars that are not there, not the operator's, or not understood: the container starts unserved
//! with a line in the diary that names file and fault, and does not start if it requires us.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::sys::stat::Mode;
use serde_json::{Value, json};
use terok_shared::annotation;
use terok_tests::container::Container;
use terok_tests::house::{House, NOBODY};
use terok_tests::runtime::{self, HookRun, Runtime, Stage};

/// Runs createRuntime, which must refuse with these words; nothing may run afterwards.
#[track_caller]
fn refused(web: &Container<'_>, path: &Path, words: &[&str]) -> HookRun {
    let mut state = runtime::state(web, Runtime::Runc, Stage::CreateRuntime);
    state["annotations"][annotation::KEY] = path.to_str().unwrap().into();
    let run = web.hook_with(Runtime::Runc, Stage::CreateRuntime, state.to_string().as_bytes());
    assert_eq!(run.said.lines().count(), 1, "{run:?}");
    for word in words {
        assert!(run.said.contains(word), "{word:?} is not in {:?}", run.said);
    }
    assert!(web.living().is_none() && web.house().processes().is_empty());
    run
}

/// The usual case: the file at its place is spoiled, and the diary names it.
#[track_caller]
fn spoiled(spoil: impl FnOnce(&Path), words: &[&str]) {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    spoil(web.sidecar());
    let run = refused(&web, web.sidecar(), words);
    assert!(run.status.success(), "{run:?}");
    assert_eq!(house.diary(), run.said);
    assert!(run.said.contains(web.sidecar().to_str().unwrap()), "{run:?}");
}

fn private(path: &Path, text: impl AsRef<[u8]>) {
    terok_tests::sidecar::write(path, text);
}

#[test]
fn a_missing_sidecar_is_named() {
    spoiled(|path| fs::remove_file(path).unwrap(), &["open sidecar", "No such file"]);
}

#[test]
fn an_empty_sidecar_is_named() {
    spoiled(|path| private(path, ""), &["not JSON"]);
}

#[test]
fn a_sidecar_that_is_not_json_is_named() {
    spoiled(|path| private(path, "container_name: web\n"), &["not JSON"]);
}

#[test]
fn a_sidecar_that_is_no_object_is_named() {
    spoiled(|path| private(path, "[]"), &["expected an object", "an array"]);
}

#[test]
fn an_oversized_sidecar_is_not_read() {
    let huge = |path: &Path| private(path, vec![b' '; 65 * 1024]);
    spoiled(huge, &["66560 bytes", "at most 65536"]);
}

#[test]
fn a_symlinked_sidecar_is_refused() {
    let linked = |path: &Path| {
        let real = path.with_file_name("real.json");
        fs::rename(path, &real).unwrap();
        symlink(&real, path).unwrap();
    };
    spoiled(linked, &["symbolic link"]);
}

#[test]
fn a_sidecar_others_may_write_is_refused_with_a_way_out() {
    for mode in [0o620, 0o602, 0o666] {
        let open = |path: &Path| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        spoiled(open, &["lets others write", "hint: run chmod 0600"]);
    }
}

#[test]
fn somebody_elses_sidecar_is_refused() {
    if !nix::unistd::geteuid().is_root() {
        return println!("skipped: only root can give a file away");
    }
    let give = |path: &Path| std::os::unix::fs::chown(path, Some(NOBODY), None).unwrap();
    spoiled(give, &["owned by uid 65534", "expected 0"]);
}

#[test]
fn a_fifo_in_place_of_the_sidecar_does_not_block() {
    let fifo = |path: &Path| {
        fs::remove_file(path).unwrap();
        nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap();
    };
    spoiled(fifo, &["not a regular file"]);
}

#[test]
fn a_directory_in_place_of_the_sidecar_is_refused() {
    let directory = |path: &Path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    };
    spoiled(directory, &["not a regular file"]);
}

#[test]
fn a_symlinked_sidecar_directory_is_refused() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let other = house.path().join("other");
    fs::create_dir(&other).unwrap();
    symlink(house.state_root().sidecars(), other.join("sidecar")).unwrap();
    let run = refused(&web, &other.join("sidecar/web.json"), &["symbolic link"]);
    assert!(run.status.success(), "{run:?}");
}

#[test]
fn a_path_that_is_not_plainly_a_sidecar_is_refused() {
    let house = House::new();
    let web = house.container(&house.sidecar("web"));
    let root = house.path().to_str().unwrap();
    for (path, words) in [
        ("state/sidecar/web.json".to_owned(), "is not absolute"),
        (format!("{root}/vault/../state/sidecar/web.json"), "holds `..`"),
        (format!("{root}/vault/passphrase"), "not in a directory named `sidecar`"),
    ] {
        let run = refused(&web, Path::new(&path), &[words]);
        assert!(run.status.success(), "{run:?}");
    }
    assert_eq!(house.diary().lines().count(), 3, "{}", house.diary());
}

#[test]
fn a_member_of_the_wrong_type_is_named_and_stops_who_requires_us() {
    let paths = [
        "db_path",
        "runtime_dir",
        "routes_path",
        "vault_systemd_creds_file",
        "gate_base_path",
        "dossier_path",
    ];
    let strings = [
        "container_name",
        "ipc_mode",
        "credentials_passphrase_command",
        "scope_id",
        "project_id",
        "task_id",
        "gate_token",
        "token_subject",
    ];
    let flags = ["credentials_use_keyring", "allow_debugger", "static_markers"];
    let ports = ["tcp_port", "ssh_signer_port", "gate_port"];
    let number = |key| (key, json!(7), "a number");
    let text = |key| (key, json!("x"), "a string");
    let wrong = paths.iter().map(|key| number(*key)).chain(strings.iter().map(|key| number(*key)));
    let wrong = wrong.chain(flags.iter().map(|key| text(*key)));
    let wrong = wrong.chain(ports.iter().map(|key| text(*key)));
    let wrong: Vec<(&str, Value, &str)> =
        wrong.chain(paths.iter().map(|key| (*key, json!("x/y"), "relative"))).collect();
    let house = House::new();
    let good = house.sidecar("web").with("required", true);
    let web = house.container(&good);
    for (key, value, kind) in wrong {
        private(web.sidecar(), good.clone().with(key, value).text());
        let run = refused(&web, web.sidecar(), &[&format!("`{key}`"), kind]);
        assert_eq!(run.status.code(), Some(1), "{key}: {run:?}");
    }
}

#[test]
fn a_member_that_is_missing_is_named() {
    for key in ["container_name", "db_path", "runtime_dir"] {
        let house = House::new();
        let web = house.container(&house.sidecar("web"));
        private(web.sidecar(), house.sidecar("web").without(key).text());
        let run = refused(&web, web.sidecar(), &[&format!("`{key}`: is missing")]);
        assert!(run.status.success(), "{run:?}");
    }
}

#[test]
fn required_that_is_no_boolean_is_named() {
    let house = House::new();
    let web = house.container(&house.sidecar("web").with("required", "true"));
    let run = refused(&web, web.sidecar(), &["`required`", "a string"]);
    assert!(run.status.success(), "{run:?}");
}

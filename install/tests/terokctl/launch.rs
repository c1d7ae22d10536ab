//! `terokctl prepare`: what it makes, what it prints, and what it takes back.

use std::fs;
use std::path::Path;

use serde_json::Value;
use terok_shared::annotation::SidecarPath;
use terok_shared::sidecar::{self, Ipc, Sidecar};

use crate::machine::{CREDENTIAL, Machine};

const ALL: [&str; 9] = [
    "prepare",
    "web",
    "--provider",
    "github",
    "--project",
    "app",
    "--ssh",
    "--gate",
    "--init-mirror",
];

fn sidecar_of(machine: &Machine, name: &str) -> Sidecar {
    let path = machine.text(&format!("state/sidecar/{name}.json"));
    let (_, json) = sidecar::read(&SidecarPath::parse(&path).unwrap()).unwrap();
    Sidecar::parse(Path::new(&path), &json).unwrap()
}

fn variable(machine: &Machine, name: &str) -> String {
    let text = machine.read("state/sidecar/web.env");
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    line.unwrap_or_else(|| panic!("{name} not in {text}")).to_owned()
}

#[test]
fn a_prepared_launch_is_what_the_hook_expects() {
    let machine = Machine::furnished();
    machine.ok(&ALL);
    let sidecar = sidecar_of(&machine, "web");
    assert_eq!(sidecar.container_name.as_str(), "web");
    assert_eq!(sidecar.ipc, Ipc::Socket);
    assert_eq!((sidecar.scope_id.as_str(), sidecar.project_id.as_str()), ("app", "app"));
    assert_eq!(sidecar.token_subject.as_deref(), Some("web"));
    assert_eq!(sidecar.db_path, machine.path("vault/credentials.db"));
    assert_eq!(sidecar.runtime_dir, machine.path("run/terok/sandbox"));
    assert!(!sidecar.required);
    let gate = sidecar.gate.unwrap();
    assert!(gate.token.matches(&variable(&machine, "TEROK_GATE_TOKEN")));
    assert!(gate.base_path.join("app.git/HEAD").exists());
    for (path, mode) in [
        ("state/sidecar", 0o700),
        ("state/sidecar/web.json", 0o600),
        ("state/sidecar/web.env", 0o600),
        ("run/terok/sandbox/run", 0o700),
        ("run/terok/sandbox/run/web", 0o700),
    ] {
        assert_eq!(machine.mode(path), mode, "{path}");
    }
    assert!(fs::read_dir(machine.path("run/terok/sandbox/run/web")).unwrap().next().is_none());
}

#[test]
fn the_tokens_are_this_containers_and_grant_what_was_asked_for() {
    let machine = Machine::furnished();
    machine.ok(&ALL);
    let vault = machine.vault();
    let granted = |name| vault.token(&variable(&machine, name)).unwrap().unwrap();
    for (name, provider) in [
        ("TEROK_GITHUB_TOKEN", "github"),
        ("GH_TOKEN", "github"),
        ("TEROK_SSH_SIGNER_TOKEN", "ssh"),
    ] {
        let info = granted(name);
        assert_eq!((info.subject.as_str(), info.scope.as_str()), ("web", "app"), "{name}");
        assert_eq!(info.provider, provider, "{name}");
    }
    assert_eq!(machine.tokens().len(), 2);
}

#[test]
fn the_printed_flags_wire_the_container_and_hold_no_token() {
    let machine = Machine::furnished();
    let flags = machine.ok(&ALL);
    let lines: Vec<&str> = flags.lines().collect();
    let root = machine.text("");
    let root = root.trim_end_matches('/');
    assert_eq!(
        lines,
        [
            "--name=web".to_owned(),
            format!("--annotation=terok.sandbox.sidecar={root}/state/sidecar/web.json"),
            format!("--volume={root}/run/terok/sandbox/run/web:/run/terok:ro"),
            format!("--env-file={root}/state/sidecar/web.env"),
        ]
    );
    assert!(!flags.contains("terok-p-") && !flags.contains("terok-g-"));
    assert!(!machine.read("state/sidecar/web.env").contains(CREDENTIAL));
}

#[test]
fn json_has_the_flags_and_the_variables() {
    let machine = Machine::furnished();
    let words = ["prepare", "web", "--provider", "github", "--mode", "tcp", "--json"];
    let told: Value = serde_json::from_str(&machine.ok(&words)).unwrap();
    let Ipc::Tcp(ports) = sidecar_of(&machine, "web").ipc else { panic!("tcp mode") };
    let port = ports.broker.unwrap();
    assert!(ports.signer.is_some() && ports.gate.is_none());
    assert_eq!(told["env"]["TEROK_TOKEN_BROKER_PORT"], port.to_string());
    let base = format!("http://host.containers.internal:{port}");
    assert_eq!(told["env"]["TEROK_GITHUB_BASE_URL"], base);
    let flags: Vec<&str> =
        told["podman_flags"].as_array().unwrap().iter().map(|f| f.as_str().unwrap()).collect();
    assert!(flags.iter().any(|flag| flag.starts_with("--network=")), "{flags:?}");
    assert!(flags.iter().any(|flag| flag.starts_with("--add-host=host.containers.internal:")));
    assert_eq!(told["sidecar"], machine.text("state/sidecar/web.json"));
}

#[test]
fn options_reach_the_sidecar() {
    let machine = Machine::furnished();
    let command = "pass show 'terok vault'";
    machine.ok(&["prepare", "web", "--required", "--passphrase-command", command]);
    let sidecar = sidecar_of(&machine, "web");
    assert!(sidecar.required && sidecar.passphrase_command.unwrap().matches(command));
    assert_eq!(sidecar.scope_id, "default");
}

#[test]
fn what_is_missing_is_named_with_the_command_that_adds_it() {
    let machine = Machine::furnished();
    machine.write("vault/routes.json", "{}");
    let with = |more: &[&'static str]| [&["prepare", "web"], more].concat();
    for (words, what, hint) in [
        (with(&["--provider", "openai"]), "no credential", "terokctl vault add openai"),
        (with(&["--provider", "github", "--set", "x"]), "no credential", "add github --set x"),
        (with(&["--provider", "github"]), "no route", "terokctl vault add github --upstream"),
        (with(&["--ssh", "--scope", "b"]), "scope b has none", "ssh generate --scope b"),
        (with(&["--gate", "--project", "p"]), "no mirror", "--init-mirror"),
    ] {
        machine.fails(&words, what, hint);
        assert!(machine.has_nothing_of("web"), "{words:?}");
    }
}

#[test]
fn a_locked_vault_stops_a_launch_that_needs_it() {
    let machine = Machine::furnished();
    machine.ok(&["vault", "lock"]);
    machine.fails(&["prepare", "web", "--provider", "github"], "no passphrase", "vault unlock");
    assert!(machine.has_nothing_of("web"));
    machine.ok(&["prepare", "web", "--project", "app", "--gate", "--init-mirror"]);
}

#[test]
fn a_name_in_use_is_refused_and_its_launch_goes_on() {
    let machine = Machine::furnished();
    machine.ok(&ALL);
    let before = (machine.read("state/sidecar/web.json"), machine.read("state/sidecar/web.env"));
    machine.fails(&ALL, "the name is in use", "terokctl cleanup web");
    let after = (machine.read("state/sidecar/web.json"), machine.read("state/sidecar/web.env"));
    assert_eq!(before, after);
    assert_eq!(machine.tokens().len(), 2);
}

#[test]
fn of_two_launches_of_one_name_at_once_one_wins_whole() {
    let machine = Machine::furnished();
    let spawn = || machine.terokctl(&ALL).spawn().unwrap();
    let mut both = [spawn(), spawn()];
    let won =
        both.iter_mut().map(|one| one.wait().unwrap()).filter(|ended| ended.success()).count();
    assert_eq!(won, 1);
    assert_eq!(machine.tokens().len(), 2);
    assert!(machine.vault().token(&variable(&machine, "GH_TOKEN")).unwrap().is_some());
    assert!(machine.path("run/terok/sandbox/run/web").exists());
}

#[test]
fn a_failure_after_minting_takes_everything_back() {
    let machine = Machine::furnished();
    // Nothing can be renamed over a directory.
    fs::create_dir_all(machine.path("state/sidecar/web.env")).unwrap();
    machine.fails(&ALL, "web.env", "");
    assert!(machine.tokens().is_empty());
    assert!(!machine.path("state/sidecar/web.json").exists());
    assert!(!machine.path("run/terok/sandbox/run/web").exists());
    assert!(!machine.path("state/gate/app.git").exists());
}

#[test]
fn providers_that_would_share_a_variable_are_refused_whole() {
    let machine = Machine::furnished();
    for name in ["a-b", "a.b"] {
        let words =
            ["vault", "add", name, "--from-file", "passphrase", "--upstream", "http://x.test"];
        machine.ok(&words);
    }
    machine.fails(
        &["prepare", "web", "--provider", "a-b", "--provider", "a.b"],
        "TEROK_A_B_TOKEN",
        "another name",
    );
    assert!(machine.has_nothing_of("web"));
}

#[test]
fn what_is_in_the_way_is_not_overwritten() {
    let machine = Machine::furnished();
    fs::create_dir_all(machine.path("state/sidecar")).unwrap();
    let target = machine.path("precious");
    std::os::unix::fs::symlink(&target, machine.path("state/sidecar/web.json")).unwrap();
    machine.fails(&["prepare", "web"], "in use", "cleanup");
    assert!(!target.exists());

    fs::create_dir_all(machine.path("run/terok/sandbox/run")).unwrap();
    fs::create_dir(machine.path("elsewhere")).unwrap();
    let directory = machine.path("run/terok/sandbox/run/db");
    std::os::unix::fs::symlink(machine.path("elsewhere"), &directory).unwrap();
    machine.fails(&["prepare", "db"], "run/db", "");
    assert!(directory.is_symlink() && !machine.path("state/sidecar/db.json").exists());
}

#[test]
fn a_socket_path_that_is_too_long_is_told_before_anything_is_made() {
    let machine = Machine::furnished();
    let name = "n".repeat(100);
    machine.fails(&["prepare", &name, "--provider", "github"], "at most 107", "shorter");
    assert!(machine.has_nothing_of(&name));
}

#[test]
fn bad_names_are_usage_errors() {
    let machine = Machine::bare();
    for words in [
        &["prepare", "../web"][..],
        &["prepare", "web", "--scope", "%host"],
        &["prepare", "web", "--provider", "ssh"],
        &["prepare", "web", "--gate"],
        &["prepare", "web", "--project", "a/b"],
        &["prepare"],
    ] {
        assert_eq!(machine.say(words).status, 2, "{words:?}");
    }
}

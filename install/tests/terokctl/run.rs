//! `terokctl run`, with a podman that writes down how it was called.

use crate::machine::{CREDENTIAL, Machine, said};

const RECORDER: &str = "#!/bin/sh
printf '%s\\n' \"$@\" > argv
env > environment
cat > stdin
exit 42
";

const RUN: [&str; 14] = [
    "run",
    "web",
    "--provider",
    "github",
    "--scope",
    "app",
    "--ssh",
    "--",
    "--rm",
    "-v",
    "/a b:/x",
    "image",
    "sh",
    "-c",
];

#[test]
fn podman_gets_tokens_by_environment_and_everything_else_as_it_was_typed() {
    let machine = Machine::furnished();
    machine.program("podman", RECORDER);
    let mut command = machine.terokctl(&RUN);
    command.env("TEROK_VAULT_PASSPHRASE_COMMAND", "cat /secret/place");
    let ended = said(&mut command, "typed");
    assert_eq!(ended.status, 42, "{ended:?}");
    assert_eq!(machine.read("stdin"), "typed");

    let argv = machine.read("argv");
    let words: Vec<&str> = argv.lines().collect();
    assert_eq!(words[..2], ["run", "--name=web"]);
    assert_eq!(words[words.len() - 6..], ["--rm", "-v", "/a b:/x", "image", "sh", "-c"]);
    assert!(words.contains(&"--env=GH_TOKEN") && words.contains(&"--env=TEROK_SSH_SIGNER_TOKEN"));
    assert!(!argv.contains("terok-p-") && !argv.contains(CREDENTIAL), "{argv}");

    let environment = machine.read("environment");
    let token = environment.lines().find_map(|line| line.strip_prefix("GH_TOKEN=")).unwrap();
    assert_eq!(machine.vault().token(token).unwrap().unwrap().subject, "web");
    assert!(environment.contains("TEROK_VAULT_SOCKET=/run/terok/vault/vault.sock"));
    assert!(!environment.contains(CREDENTIAL) && !environment.contains("/secret/place"));
    assert!(!machine.path("state/sidecar/web.env").exists());
    // The container may be started again: what it needs stays until cleanup.
    assert!(machine.path("state/sidecar/web.json").exists());
    machine.ok(&["cleanup", "web"]);
    assert!(machine.has_nothing_of("web"));
}

#[test]
fn the_hosts_own_variable_of_that_name_does_not_reach_the_container() {
    let machine = Machine::furnished();
    machine.program("podman", RECORDER);
    let mut command = machine.terokctl(&RUN);
    command.env("GH_TOKEN", "ghp_hosts_own");
    said(&mut command, "");
    assert!(!machine.read("environment").contains("ghp_hosts_own"));
}

#[test]
fn the_vault_is_closed_before_podman_starts() {
    let machine = Machine::furnished();
    machine.program("podman", "#!/bin/sh\nls vault > listed\nls -l /proc/self/fd > open\n");
    machine.say(&RUN).expect_success();
    assert!(!machine.read("listed").contains("-wal"), "{}", machine.read("listed"));
    assert!(!machine.read("open").contains("credentials.db"));
}

#[test]
fn a_podman_that_cannot_be_started_leaves_nothing() {
    let machine = Machine::furnished();
    machine.program("podman", "#!/no/such/interpreter\n");
    machine.fails(&RUN, "podman", "");
    assert!(machine.has_nothing_of("web"));
}

#[test]
fn without_podman_nothing_is_prepared() {
    let machine = Machine::furnished();
    let ended = said(machine.terokctl(&RUN).env("PATH", machine.path("bin")), "");
    assert_eq!(ended.status, 1);
    assert!(ended.err.contains("hint: install podman"), "{ended:?}");
    assert!(machine.has_nothing_of("web"));
}

#[test]
fn a_run_without_an_image_is_a_usage_error() {
    let machine = Machine::bare();
    assert_eq!(machine.say(&["run", "web"]).status, 2);
}

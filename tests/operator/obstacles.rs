//! Where a newcomer to the Python package got stuck, one test for each place.

use std::fs;

use serde_json::Value;

use crate::desk::Desk;

#[test]
fn setup_needs_no_firewall_no_name_server_and_not_even_podman() {
    let desk = Desk::new();
    assert_eq!(fs::read_dir(desk.path("bin")).unwrap().count(), 0, "PATH is empty");
    assert!(desk.ok(&["setup"]).contains("came up"));
}

#[test]
fn a_vault_opens_without_systemd_and_without_a_desktop() {
    let desk = Desk::new();
    // No systemd-creds, no D-Bus, no terminal; only what the session has.
    desk.make_vault();
    assert_eq!(desk.ok(&["vault", "list", "--json"]).trim(), "[]");
    let status: Value = serde_json::from_str(&desk.ok(&["vault", "status", "--json"])).unwrap();
    assert!(status.to_string().contains("keyring") || status.to_string().contains("session"));
    desk.ok(&["vault", "lock"]);
    desk.fails(&["vault", "list"]);
    let file = desk.path("passphrase");
    desk.ok(&["vault", "unlock", "--passphrase-file", file.to_str().unwrap()]);
    desk.ok(&["vault", "list"]);
    desk.ok(&["vault", "lock"]);
}

#[test]
fn a_setup_that_fails_changes_neither_hooks_nor_podmans_file() {
    let desk = Desk::new();
    desk.write(&desk.conf(), "[engine]\nhooks_dir = 7\n");
    let before = desk.snapshot();
    let said = desk.fails(&["setup"]);
    assert!(said.contains("hooks_dir is not a list") && said.contains("\nhint: "), "{said}");
    assert_eq!(desk.snapshot(), before);
}

#[test]
fn a_credential_its_route_and_its_token_are_a_command_each() {
    let desk = Desk::new();
    desk.make_vault();
    let file = desk.path("token");
    desk.write(&file, "ghp_real\n");
    desk.ok(&["vault", "add", "github", "--from-file", file.to_str().unwrap()]);
    let routes = desk.path("home/.local/share/terok/vault/routes.json");
    let routes: Value = serde_json::from_slice(&fs::read(routes).unwrap()).unwrap();
    assert_eq!(routes["github"]["upstream"], "https://api.github.com");
    let token = desk.ok(&["vault", "token", "mint", "github"]);
    assert!(token.starts_with("terok-p-"), "{token}");
    desk.ok(&["vault", "lock"]);
}

#[test]
fn tcp_mode_is_launched_with_a_network_that_reaches_the_services() {
    let desk = Desk::new();
    desk.program(
        "podman",
        "case $1 in --version) echo podman version 4.3.1 ;; info) echo slirp4netns ;; esac",
    );
    let launch: Value =
        serde_json::from_str(&desk.ok(&["prepare", "web", "--mode", "tcp", "--json"])).unwrap();
    let flags = launch["podman_flags"].to_string();
    // Root's containers share the host's loopback, a user's get to it through slirp4netns.
    let reaches = ["--network=host", "allow_host_loopback=true"];
    assert!(reaches.iter().any(|flag| flags.contains(flag)), "{launch}");
    assert!(flags.contains("host.containers.internal"), "{launch}");
    assert!(launch.to_string().contains("TEROK_TOKEN_BROKER_PORT"), "{launch}");
}

#[test]
fn uninstall_takes_its_entry_out_of_podmans_list() {
    let desk = Desk::new();
    let list = "[engine]\n# theirs\nhooks_dir = [\n  \"/opt/hooks\", # a comment\n]\n";
    desk.write(&desk.conf(), list);
    desk.ok(&["setup", "--no-verify"]);
    assert!(fs::read_to_string(desk.conf()).unwrap().contains("terok/sandbox/hooks"));
    desk.ok(&["uninstall"]);
    assert_eq!(fs::read_to_string(desk.conf()).unwrap(), list);
}

#[test]
fn doctor_ends_well_with_warnings_and_says_what_they_are() {
    let desk = Desk::new();
    desk.program(
        "podman",
        "case $1 in --version) echo podman version 4.3.1 ;; *) echo '[]' ;; esac",
    );
    desk.ok(&["setup", "--no-verify"]);
    desk.make_vault();
    desk.write(&desk.path("home/.local/share/terok/vault/routes.json"), "{}");
    // Without git the gate cannot start, which is a warning and nothing broken.
    let output = desk.say(&["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["warnings"].as_u64().unwrap() > 0, "{report:#}");
    assert_eq!((output.status.code(), &report["broken"]), (Some(0), &0.into()), "{report:#}");
    desk.ok(&["vault", "lock"]);
}

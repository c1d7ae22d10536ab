//! A mirror's upstream behind a real sshd, which lets in who has a key that only the vault has.

use std::fs;

use terok_tests::mirror::git_ok;
use terok_tests::sshd;

use crate::desk::Desk;

/// The system's git and ssh, which know this host and ask nobody about it.
fn install_git_and_ssh(desk: &Desk, known_host: &str) {
    let known_hosts = desk.path("known_hosts");
    desk.write(&known_hosts, &format!("{known_host}\n"));
    desk.program("git", "exec /usr/bin/git \"$@\"");
    let options = "-F none -o StrictHostKeyChecking=yes -o UserKnownHostsFile";
    desk.program("ssh", &format!("exec /usr/bin/ssh {options}={} \"$@\"", known_hosts.display()));
}

#[test]
fn a_key_of_the_vault_opens_it_through_our_signer() {
    let desk = Desk::new();
    desk.make_vault();
    desk.ok(&["ssh", "generate", "--scope", "app"]);
    let key = desk.ok(&["ssh", "pub", "--scope", "app"]);
    let Some(host) = sshd::start("ed25519", &[key]) else { return };
    install_git_and_ssh(&desk, &host.known_host());

    let (upstream, tree) = (desk.path("upstream.git"), desk.path("tree"));
    git_ok(&desk.path(""), &["init", "-q", "--bare", "-b", "trunk", "upstream.git"]);
    git_ok(&desk.path(""), &["clone", "-q", upstream.to_str().unwrap(), "tree"]);
    let commits = |message: &str| {
        git_ok(&tree, &["commit", "-q", "--allow-empty", "-m", message]);
        git_ok(&tree, &["push", "-q", "origin", "HEAD:trunk"]);
        git_ok(&tree, &["rev-parse", "HEAD"])
    };
    let mirrored = || git_ok(&desk.state().join("gate/web.git"), &["rev-parse", "trunk"]);

    let first = commits("first");
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    let url = format!("ssh://{user}@127.0.0.1:{}{}", host.port(), upstream.display());
    desk.ok(&["gate", "init", "web", "--from", &url, "--scope", "app"]);
    assert_eq!(mirrored(), first);
    let second = commits("second");
    desk.ok(&["gate", "sync", "web"]);
    assert_eq!(mirrored(), second);

    // Nothing is left of the supervisor that served the key.
    desk.nothing_runs();
    assert_eq!(desk.ok(&["vault", "token", "list", "--json"]).trim(), "[]");
    for directory in [desk.state().join("sidecar"), desk.path("run/terok/sandbox/run")] {
        let left: Vec<_> = fs::read_dir(directory).unwrap().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
    desk.ok(&["vault", "lock"]);
}

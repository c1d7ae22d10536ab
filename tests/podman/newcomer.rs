//! Somebody new: nothing but installed programs and podman, then everything an operator does once,
//! and in the end nothing is left but what the documents promise.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use terok_tests::eventually::eventually;

use crate::container::processes_naming;
use crate::operator::{self, Operator};
use crate::screens;
use crate::session::{CREDENTIAL, PASSPHRASE, Session};

const CODEX: &str = include_str!("agents/codex");
const CLAUDE: &str = include_str!("agents/claude");
/// As both clients print an answer that they like.
const GOOD: &str = "200";

/// Two credentials, a key and a mirror, and a container that has the use of all of them.
const FIRST_HOUR: &str = "\
terokctl setup --dry-run
terokctl setup
terokctl vault init
terokctl vault add openai
terokctl vault add anthropic
terokctl ssh generate --scope newcomer
terokctl gate init newcomer
terokctl run newcomer --project newcomer --provider openai --provider anthropic --ssh --gate \\
    --loopback -- --detach --pull=never --network=none localhost/agent sleep 900
";

/// What `terokctl uninstall`, the tutorial and the README say stays, below the home.
const PROMISED: [&str; 3] = [
    ".local/share/terok/vault/",
    ".local/share/terok/sandbox/logs/",
    ".local/share/terok/sandbox/gate/",
];

/// What podman keeps for itself whatever it runs.
const PODMANS: [&str; 3] = [".config/cni/", ".local/share/containers/", ".cache/"];

#[test]
fn somebody_new_gets_all_the_way_and_back() {
    let Some(operator) = operator::alone() else { return };
    let session = Session::new(&operator);
    let before = files_below(session.home());
    let configured = fs::read_to_string(session.containers_conf()).unwrap();

    let told = session.ok(FIRST_HOUR);
    assert!(!told.contains(CREDENTIAL) && !told.contains(PASSPHRASE), "{told}");
    agents_work(&session);
    nothing_secret_inside(&session);
    what_happened_is_told(&operator, &session);

    let told = session.ok("podman rm --force --time 0 newcomer\nterokctl cleanup newcomer");
    assert!(told.contains("3 tokens revoked"), "{told}");
    let listed = session.ok("terokctl vault token list --json");
    assert_eq!(listed.trim(), "[]");
    session.ok("terokctl doctor\nterokctl vault lock\nterokctl uninstall");

    assert_eq!(fs::read_to_string(session.containers_conf()).unwrap(), configured);
    let left = files_below(session.home());
    let explained = |file: &&String| PROMISED.iter().chain(&PODMANS).any(|p| file.starts_with(p));
    let unexpected: Vec<&String> =
        left.difference(&before).filter(|file| !explained(file)).collect();
    assert_eq!(unexpected, Vec::<&String>::new());
    assert!(before.is_subset(&left), "{:?}", before.difference(&left));
    assert!(!operator.runtime_dir().join("run/newcomer").exists());
    let home = session.home().to_str().unwrap();
    eventually("none of our processes runs", || processes_naming(home).is_empty());
}

/// Clients in the form of Codex and Claude Code are answered, and upstream is shown the credential.
#[track_caller]
fn agents_work(session: &Session<'_>) {
    for (name, client, path) in
        [("codex", CODEX, "/v1/responses"), ("claude", CLAUDE, "/v1/messages?beta=true")]
    {
        fs::write(session.home().join(name), client).unwrap();
        let shown =
            session.ok(&format!("podman exec --interactive newcomer sh -s < {name}; rm {name}"));
        assert_eq!(shown.trim(), GOOD, "{name}");
        let seen = session.upstream().seen();
        let request = seen.iter().find(|request| request.contains(path)).expect("it was asked");
        assert!(request.contains(CREDENTIAL) && !request.contains("terok-p-"), "{name}");
    }
    let push = "\
podman exec newcomer ssh-add -L
podman exec newcomer sh -ec 'cd /tmp; git init --quiet --initial-branch main work; cd work
    git -c user.name=Agent -c user.email=a@localhost commit --quiet --allow-empty --message first
    git push --quiet http://$TEROK_GATE_TOKEN@localhost:9418/newcomer.git main'";
    assert!(session.ok(push).contains("ssh-ed25519 "), "the key is offered");
}

#[track_caller]
fn nothing_secret_inside(session: &Session<'_>) {
    let archive = session.home().join("inside.tar");
    let script = "podman export newcomer > inside.tar; podman exec newcomer env >> inside.tar";
    session.ok(script);
    let secrets = [("credential", CREDENTIAL.as_bytes()), ("passphrase", PASSPHRASE.as_bytes())];
    let found = crate::search::found_in(fs::File::open(&archive).unwrap(), secrets.into_iter());
    assert_eq!(found.unwrap(), [""; 0]);
    fs::remove_file(archive).unwrap();
}

/// The screens, and what they must say about this container.
#[track_caller]
fn what_happened_is_told(operator: &Operator, session: &Session<'_>) {
    let mut status = String::new();
    eventually("every service is ready", || {
        status = session.ok("terokctl status");
        !status.contains(":starting")
    });
    screens::expect(operator, "status", include_str!("../snapshots/status.txt"), &status);
    let doctor = session.ok("terokctl doctor");
    screens::expect(operator, "doctor", include_str!("../snapshots/doctor.txt"), &doctor);
    let audit = session.ok("terokctl audit --container newcomer");
    screens::expect(operator, "audit", include_str!("../snapshots/audit.txt"), &audit);
    let logs = session.ok("terokctl logs newcomer");
    assert!(logs.contains("broker is ready") && logs.contains("hook: supervisor"), "{logs}");
}

/// Files and links below a directory, with their paths from there.
fn files_below(directory: &Path) -> BTreeSet<String> {
    fn collect(top: &Path, directory: &Path, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            match entry.file_type().unwrap().is_dir() {
                true => collect(top, &entry.path(), found),
                false => {
                    let path = entry.path();
                    let below = path.strip_prefix(top).expect("it was found there");
                    found.insert(below.display().to_string());
                }
            }
        }
    }
    let mut found = BTreeSet::new();
    collect(directory, directory, &mut found);
    found
}

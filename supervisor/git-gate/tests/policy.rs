//! What a policy lets in, and how a client's terminal learns what it does not.

#![allow(clippy::unwrap_used)] // a broken expectation ends the test

mod gate;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gate::{World, eventually};
use serde_json::json;

/// Pushes, which must be refused; the client's words.
#[track_caller]
fn refused(world: &World, tree: &Path, arguments: &[&str]) -> String {
    let before = world.in_mirror(&["for-each-ref"]);
    let output = world.git(tree, &[&["push", "origin"], arguments].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert_eq!(world.in_mirror(&["for-each-ref"]), before, "{said}");
    said
}

/// The reason in git's own line about a ref.
#[track_caller]
fn reason<'a>(said: &'a str, name: &str) -> &'a str {
    let line = said
        .lines()
        .find(|line| line.contains("[remote rejected]") && line.contains(name))
        .unwrap_or_else(|| panic!("no line about {name}: {said}"));
    &line[line.find('(').unwrap()..]
}

fn objects(world: &World) -> usize {
    let listed = world.in_mirror(&["cat-file", "--batch-all-objects", "--batch-check"]);
    listed.lines().count()
}

#[test]
fn refs_outside_the_list_and_protected_ones_are_refused_one_by_one() {
    let world = World::ruled(json!({
        "refs": ["refs/heads/*"],
        "protected": ["refs/heads/main", "refs/heads/release/*"],
    }));
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main:agent/x"]);
    let said = refused(&world, &tree, &["main", "main:release/1", "main:fine", "main:refs/tags/t"]);
    assert_eq!(reason(&said, "-> main"), "(protected by the gate's policy)");
    assert_eq!(reason(&said, "-> release/1"), "(protected by the gate's policy)");
    assert_eq!(reason(&said, "-> t"), "(not among the refs that the gate's policy allows)");
    assert_eq!(reason(&said, "-> fine"), "(another ref of this push was refused)");
}

#[test]
fn deleting_and_rewriting_are_refused_where_the_policy_forbids_them() {
    let world = World::ruled(json!({ "rewrite": ["refs/heads/agent/*"] }));
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main", "main:agent/x", "main:agent/y"]);
    let said = refused(&world, &tree, &[":main"]);
    assert_eq!(reason(&said, "main"), "(the gate's policy forbids to delete it)");
    world.git_ok(&tree, &["commit", "-q", "--amend", "-m", "other"]);
    let had = objects(&world);
    let said = refused(&world, &tree, &["-f", "main", "main:agent/x"]);
    let why = "(not a fast-forward, which the gate's policy demands)";
    assert_eq!(reason(&said, "main -> main"), why);
    assert_eq!(reason(&said, "agent/x"), "(another ref of this push was refused)");
    assert_eq!(objects(&world), had, "objects of a refused push stayed");
    // What the policy allows goes on, with its backups.
    world.git_ok(&tree, &["push", "-q", "-f", "origin", "main:agent/x", ":agent/y"]);
    assert_eq!(world.in_mirror(&["for-each-ref", "refs/terok/backup"]).lines().count(), 2);
    world.git_ok(&tree, &["reset", "-q", "--hard", "origin/main"]);
    world.commit(&tree, "more", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
}

#[test]
fn a_pack_above_the_limit_is_refused_with_the_limit() {
    let world = World::ruled(json!({ "max_pack_bytes": 200_000 }));
    let tree = world.work_tree("a", 100_000);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    for bytes in [300_000, 5 << 20] {
        world.commit(&tree, "large", bytes);
        let said = refused(&world, &tree, &["main"]);
        let why = "(pack larger than the 200000 bytes that the gate's policy allows)";
        assert_eq!(reason(&said, "main"), why);
    }
    world.in_mirror(&["fsck", "--full"]);
}

#[test]
fn a_blob_above_the_limit_is_refused_even_below_other_commits() {
    let world = World::ruled(json!({ "max_blob_bytes": 1000 }));
    let tree = world.work_tree("a", 1000);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    world.commit(&tree, "large", 1001);
    let blob = world.git_ok(&tree, &["rev-parse", "HEAD:large"]).trim().to_owned();
    world.git_ok(&tree, &["rm", "-q", "large"]);
    world.commit(&tree, "small", 10);
    let had = objects(&world);
    let said = refused(&world, &tree, &["main"]);
    let why = format!("(blob {blob} larger than the 1000 bytes that the gate's policy allows)");
    assert_eq!(reason(&said, "main"), why);
    assert_eq!(objects(&world), had);
}

#[test]
fn commits_need_a_signature_of_an_allowed_signer() {
    let keys = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let path = keys.path().join(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(&path)
            .status();
        assert!(made.unwrap().success());
        path
    };
    let (known, stranger) = (key("known"), key("stranger"));
    let signers = keys.path().join("allowed");
    let public = fs::read_to_string(known.with_extension("pub")).unwrap();
    fs::write(&signers, format!("t@example.org {public}")).unwrap();
    let world = World::ruled(json!({ "signed_commits": { "allowed_signers": signers } }));
    if !world.client_is((2, 34)) {
        std::println!("skipped: this client knows no SSH signatures");
        return;
    }
    let tree = world.root().join("a");
    fs::create_dir(&tree).unwrap();
    world.init(&tree);
    world.git_ok(&tree, &["remote", "add", "origin", &world.url()]);
    world.git_ok(&tree, &["config", "gpg.format", "ssh"]);
    let commit = |key: &Path, message: &str| {
        let key = format!("user.signingKey={}", key.display());
        world.git_ok(&tree, &["-c", &key, "commit", "-q", "-S", "--allow-empty", "-m", message]);
        world.git_ok(&tree, &["rev-parse", "HEAD"]).trim().to_owned()
    };
    commit(&known, "one");
    commit(&known, "two");
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    let by_stranger = commit(&stranger, "three");
    commit(&known, "four");
    let said = refused(&world, &tree, &["main"]);
    let why = format!("(commit {by_stranger} is not signed by anyone the gate's policy allows)");
    assert_eq!(reason(&said, "main"), why);
    world.git_ok(&tree, &["reset", "-q", "--hard", "HEAD~2"]);
    let unsigned = world.commit(&tree, "plain", 10);
    assert!(reason(&refused(&world, &tree, &["main"]), "main").contains(&unsigned));
    // What the repository has already needs no signature once more.
    world.git_ok(&tree, &["push", "-q", "origin", "HEAD~1:refs/heads/other"]);
    let left = fs::read_dir(world.mirror().join("objects")).unwrap().flatten();
    assert_eq!(left.filter(|e| e.file_name().to_string_lossy().contains("tmp")).count(), 0);
}

#[test]
fn a_malformed_policy_stops_pushes_and_not_fetches() {
    let world = World::ruled(json!({ "protectd": [] }));
    let tree = world.work_tree("a", 10);
    let said = refused(&world, &tree, &["main"]);
    let why = reason(&said, "main");
    assert!(
        why.contains("malformed: sidecar key `gate_policy`: unknown field `protectd`"),
        "{why}"
    );
    world.git_ok(world.root(), &["clone", "-q", &world.url(), "copy"]);
    assert!(world.said().contains("no push is taken"), "{}", world.said());
}

#[test]
fn a_symbolic_ref_is_no_way_around_a_protected_branch() {
    let world = World::ruled(json!({ "protected": ["refs/heads/main"] }));
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", world.mirror().to_str().unwrap(), "main"]);
    world.in_mirror(&["symbolic-ref", "refs/heads/alias", "refs/heads/main"]);
    world.commit(&tree, "more", 10);
    let said = refused(&world, &tree, &["main:alias"]);
    assert_eq!(reason(&said, "alias"), "(a symbolic ref, which the gate's policy forbids)");
}

#[test]
fn a_file_beside_the_mirror_is_a_policy_too_and_its_changes_count() {
    let mut world = World::new();
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    fs::write(world.policy_file(), r#"{"protected": ["refs/heads/main"]}"#).unwrap();
    assert_eq!(world.succeeded(), 200);
    world.commit(&tree, "more", 10);
    let said = refused(&world, &tree, &["main"]);
    assert_eq!(reason(&said, "main"), "(protected by the gate's policy)");
    fs::remove_file(world.policy_file()).unwrap();
    assert_eq!(world.succeeded(), 200);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    fs::write(world.policy_file(), "{").unwrap();
    assert_eq!(world.succeeded(), 200);
    world.commit(&tree, "even more", 10);
    let said = refused(&world, &tree, &["main"]);
    assert!(reason(&said, "main").contains("malformed: web.policy.json: "), "{said}");
}

#[test]
fn a_push_while_the_policy_changes_is_told_to_try_again() {
    let world = World::ruled(json!({}));
    let tree = world.work_tree("a", 10);
    // A transfer in progress keeps the gate from starting anew.
    let _busy = gate::begin_push(&world, "busy");
    eventually("a backend runs", Duration::from_secs(2), || !world.backends().is_empty());
    fs::write(world.policy_file(), "{}").unwrap();
    let said = refused(&world, &tree, &["main"]);
    assert_eq!(reason(&said, "main"), "(the gate's policy has just changed, push again)");
}

#[test]
fn old_clients_without_a_side_band_learn_the_reason_too() {
    let world = World::ruled(json!({ "protected": ["refs/heads/p"], "rewrite": [] }));
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    let (old, null) = (world.in_mirror(&["rev-parse", "main"]), "0".repeat(40));
    for (command, expected) in [
        (
            format!("{null} {old} refs/heads/p\0report-status"),
            "ng refs/heads/p protected by the gate's policy\n",
        ),
        (
            format!("{old} {null} refs/heads/main\0report-status"),
            "ng refs/heads/main the gate's policy forbids to delete it\n",
        ),
    ] {
        let body = format!("{}0000", gate::pkt(&command));
        let answer = gate::post_push(&world, &body);
        let report = format!("000eunpack ok\n{}0000", gate::pkt(expected));
        assert!(answer.contains(&report), "{answer}");
    }
}

#[test]
fn a_refused_push_of_any_size_leaves_the_gate_small() {
    let world = World::ruled(json!({ "protected": ["refs/heads/main"] }));
    let tree = world.work_tree("a", 50 << 20);
    let said = refused(&world, &tree, &["main"]);
    assert_eq!(reason(&said, "main"), "(protected by the gate's policy)");
    let peak = world.status_kib("VmHWM:");
    assert!(peak < 24 * 1024, "the gate grew to {peak} KiB");
}

#[test]
fn the_audit_has_a_line_for_every_ref() {
    let world = World::ruled(json!({ "protected": ["refs/heads/p"] }));
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main", "main:b"]);
    let old = world.git_ok(&tree, &["rev-parse", "HEAD"]).trim().to_owned();
    world.git_ok(&tree, &["commit", "-q", "--amend", "-m", "other"]);
    world.git_ok(&tree, &["push", "-q", "-f", "origin", "main"]);
    refused(&world, &tree, &["main:p", "main:q"]);
    let lines = world.audit();
    let facts = |line: &serde_json::Value| {
        let of = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
        format!("{} {} {} {}", of("ref"), of("outcome"), of("reason"), of("backup"))
    };
    let backup = world.in_mirror(&["for-each-ref", "--format=%(refname)", "refs/terok/backup"]);
    assert_eq!(
        lines.iter().map(facts).collect::<Vec<_>>(),
        [
            "refs/heads/main ok - -".to_owned(),
            "refs/heads/b ok - -".to_owned(),
            format!("refs/heads/main ok - {backup}"),
            "refs/heads/p refused protected by the gate's policy -".to_owned(),
            "refs/heads/q refused another ref of this push was refused -".to_owned(),
        ]
    );
    assert_eq!(lines[2]["old"], old.as_str());
    assert_eq!((&lines[2]["subject"], &lines[2]["scope"]), (&json!("test"), &json!("web")));
}

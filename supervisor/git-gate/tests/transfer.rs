//! Clones and pushes of every kind, by real git through a real gate.

#![allow(clippy::unwrap_used)] // a broken expectation ends the test

mod gate;

use std::fs;
use std::process::Command;

use gate::{Plan, World, clients};

#[test]
fn clones_and_pushes_work_with_every_git_on_either_side() {
    for path in ["/usr/bin:/bin", "/usr/local/bin:/usr/bin:/bin"] {
        for client in clients() {
            let mut world = World::planned(&Plan { path, ..Plan::default() });
            world.git = client;
            let tree = world.work_tree("a", 1000);
            world.git_ok(&tree, &["push", "-q", "origin", "main"]);
            for version in ["0", "1", "2"] {
                let copy = format!("copy{version}");
                let protocol = format!("protocol.version={version}");
                world.git_ok(world.root(), &["-c", &protocol, "clone", "-q", &world.url(), &copy]);
                assert_eq!(
                    fs::read(world.root().join(copy).join("first")).unwrap(),
                    fs::read(tree.join("first")).unwrap()
                );
            }
        }
    }
}

#[test]
fn pushes_of_any_size_work_with_default_settings() {
    let world = World::new();
    let tree = world.work_tree("a", 10);
    for (name, bytes) in [("100k", 100_000), ("3m", 3 << 20), ("50m", 50 << 20)] {
        let tip = world.commit(&tree, name, bytes);
        let said = world.git_ok(&tree, &["push", "-q", "origin", "main"]);
        assert_eq!(said, "");
        assert_eq!(world.in_mirror(&["rev-parse", "main"]), tip);
    }
    world.in_mirror(&["fsck", "--full"]);
    let peak = world.status_kib("VmHWM:");
    assert!(peak < 24 * 1024, "the gate grew to {peak} KiB");
}

#[test]
fn a_clone_of_much_data_arrives_whole() {
    let world = World::new();
    let tree = world.work_tree("a", 20 << 20);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    world.git_ok(world.root(), &["clone", "-q", &world.url(), "copy"]);
    world.git_ok(&world.root().join("copy"), &["fsck", "--full"]);
    let peak = world.status_kib("VmHWM:");
    assert!(peak < 24 * 1024, "the gate grew to {peak} KiB");
}

#[test]
fn shallow_partial_and_single_branch_clones_work() {
    let world = World::new();
    let tree = world.work_tree("a", 5000);
    world.commit(&tree, "second", 5000);
    world.git_ok(&tree, &["branch", "other"]);
    world.git_ok(&tree, &["push", "-q", "origin", "main", "other"]);
    let url = world.url();
    world.git_ok(world.root(), &["clone", "-q", "--depth=1", &url, "shallow"]);
    let count = |name: &str| {
        let tree = world.root().join(name);
        world.git_ok(&tree, &["rev-list", "--count", "HEAD"]).trim().to_owned()
    };
    assert_eq!(count("shallow"), "1");
    world.git_ok(&world.root().join("shallow"), &["fetch", "-q", "--unshallow"]);
    assert_eq!(count("shallow"), "2");
    for version in ["0", "1", "2"] {
        let protocol = format!("protocol.version={version}");
        let partial = format!("partial{version}");
        let clone = ["-c", &protocol, "clone", "-q", "-c", &protocol, "--filter=blob:none"];
        let said = world.git_ok(world.root(), &[&clone[..], &[&url, &partial]].concat());
        assert!(!said.contains("ignor"), "{said}");
        assert_eq!(count(&partial), "2");
        // The blobs of the tip came one by one.
        assert!(world.root().join(partial).join("second").exists());
    }
    world.git_ok(world.root(), &["clone", "-q", "-b", "other", "--single-branch", &url, "single"]);
    assert_eq!(count("single"), "2");
    // What the shallow one has must be pushable.
    let shallow = world.root().join("shallow");
    let tip = world.commit(&shallow, "third", 10);
    world.git_ok(&shallow, &["push", "-q", "origin", "main"]);
    assert_eq!(world.in_mirror(&["rev-parse", "main"]), tip);
}

#[test]
fn an_empty_repository_can_be_cloned_and_filled() {
    let world = World::new();
    for version in ["0", "2"] {
        let protocol = format!("protocol.version={version}");
        let copy = format!("empty{version}");
        world.git_ok(world.root(), &["-c", &protocol, "clone", "-q", &world.url(), &copy]);
    }
    let tree = world.root().join("empty2");
    let tip = world.commit(&tree, "x", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "HEAD:main"]);
    assert_eq!(world.in_mirror(&["rev-parse", "main"]), tip);
}

#[test]
fn a_sha256_repository_works() {
    let mirror = Some(&["--object-format=sha256"][..]);
    let world = World::planned(&Plan { mirror, ..Plan::default() });
    if !world.client_is((2, 29)) {
        std::println!("skipped: this client knows no SHA-256");
        return;
    }
    world.git_ok(world.root(), &["init", "-q", "--object-format=sha256", "tree"]);
    let tree = world.root().join("tree");
    let tip = world.commit(&tree, "x", 10);
    world.git_ok(&tree, &["push", "-q", &world.url(), "main"]);
    assert_eq!(world.in_mirror(&["rev-parse", "main"]), tip);
}

#[test]
fn atomic_pushes_push_options_and_tags_work() {
    let world = World::new();
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["tag", "-a", "v1", "-m", "one"]);
    world.git_ok(&tree, &["branch", "b"]);
    let push = ["push", "-q", "--atomic", "-o", "ci.skip", "origin", "main", "b", "v1"];
    world.git_ok(&tree, &push);
    assert_eq!(world.in_mirror(&["for-each-ref", "--format=%(refname)"]).lines().count(), 3);
    // One refused ref takes the other with it.
    world.git_ok(&tree, &["commit", "-q", "--amend", "-m", "other"]);
    world.git_ok(&tree, &["branch", "-f", "c"]);
    let refused = world.git(&tree, &["push", "-q", "--atomic", "origin", "main", "c"]);
    assert!(!refused.status.success());
    assert!(!world.in_mirror(&["for-each-ref"]).contains("refs/heads/c"));
}

#[test]
fn a_fetch_with_many_haves_sends_a_gzipped_request() {
    let world = World::new();
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    world.git_ok(world.root(), &["clone", "-q", &world.url(), "copy"]);
    let copy = world.root().join("copy");
    for _ in 0..300 {
        world.git_ok(&copy, &["commit", "-q", "--allow-empty", "-m", "mine"]);
    }
    let tip = world.commit(&tree, "theirs", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    for version in ["0", "2"] {
        let mine = world.root().join(format!("mine{version}"));
        let copied = Command::new("cp").arg("-r").args([&copy, &mine]).status().unwrap();
        assert!(copied.success());
        let protocol = format!("protocol.version={version}");
        let traced = world
            .git_command(&mine, &["-c", &protocol, "fetch", "-q", "origin"])
            .env("GIT_TRACE_CURL", "1")
            .output()
            .unwrap();
        let trace = String::from_utf8_lossy(&traced.stderr).to_lowercase();
        assert!(traced.status.success(), "{}\n{trace}", world.said());
        assert!(trace.contains("content-encoding: gzip"), "{trace}");
        assert_eq!(world.git_ok(&mine, &["rev-parse", "origin/main"]).trim(), tip);
    }
}

#[test]
fn credentials_are_only_sent_when_asked_for() {
    let world = World::new();
    let traced = world
        .git_command(world.root(), &["ls-remote", &world.url()])
        .env("GIT_TRACE_CURL", "1")
        .output()
        .unwrap();
    assert!(traced.status.success());
    let trace = String::from_utf8_lossy(&traced.stderr).into_owned();
    let challenge = trace.find("401 Unauthorized").expect("the first answer is a 401");
    let credentials = trace.find("Authorization: Basic").expect("then git sends them");
    assert!(challenge < credentials);
}

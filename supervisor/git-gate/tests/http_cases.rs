//! What git's own tests of its HTTP transport expect of a server (t5541, t5551, t5616 and t7814 in
//! git's sources), asked of the gate.

#![allow(clippy::unwrap_used)] // a broken expectation ends the test

mod gate;

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use gate::{TOKEN, World, begin, eventually, pkt};

fn pushed(world: &World) -> (std::path::PathBuf, String) {
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    let tip = world.in_mirror(&["rev-parse", "main"]);
    (tree, tip)
}

fn refs(world: &World) -> String {
    world.in_mirror(&["for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags"])
}

#[test]
fn a_push_of_everything_and_a_mirror_push_work() {
    let world = World::new();
    let (tree, _) = pushed(&world);
    for branch in ["one", "two"] {
        world.git_ok(&tree, &["branch", branch]);
    }
    world.git_ok(&tree, &["push", "-q", "--all", "origin"]);
    assert_eq!(refs(&world), "refs/heads/main\nrefs/heads/one\nrefs/heads/two");
    world.git_ok(&tree, &["branch", "-D", "two"]);
    world.git_ok(&tree, &["tag", "v1"]);
    world.git_ok(&tree, &["config", "--unset-all", "remote.origin.fetch"]);
    world.git_ok(&tree, &["push", "-q", "--mirror", "origin"]);
    assert_eq!(refs(&world), "refs/heads/main\nrefs/heads/one\nrefs/tags/v1");
}

#[test]
fn a_push_that_is_no_fast_forward_fails_and_the_others_beside_it_go_through() {
    let world = World::new();
    let (tree, tip) = pushed(&world);
    world.git_ok(&tree, &["commit", "-q", "--amend", "-m", "other"]);
    let refused = world.git(&tree, &["push", "origin", "main", "main:new"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("[rejected]") && said.contains("non-fast-forward"), "{said}");
    assert_eq!(world.in_mirror(&["rev-parse", "main"]), tip);
    assert!(refs(&world).contains("refs/heads/new"));
}

#[test]
fn a_push_with_a_lease_that_is_stale_changes_nothing() {
    let world = World::new();
    let (tree, _) = pushed(&world);
    let other = world.root().join("other");
    world.git_ok(world.root(), &["clone", "-q", &world.url(), "other"]);
    let theirs = world.commit(&other, "theirs", 10);
    world.git_ok(&other, &["push", "-q", "origin", "main"]);
    world.git_ok(&tree, &["commit", "-q", "--amend", "-m", "mine"]);
    let refused = world.git(&tree, &["push", "--force-with-lease", "origin", "main"]);
    assert!(!refused.status.success());
    assert_eq!(world.in_mirror(&["rev-parse", "main"]), theirs);
}

#[test]
fn thousands_of_tags_are_fetched_and_asked_for_in_chunks() {
    let world = World::new();
    let (tree, tip) = pushed(&world);
    let lines: String = (0..3000).map(|n| format!("create refs/tags/t{n} {tip}\n")).collect();
    fs::write(tree.join("lines"), &lines).unwrap();
    let mut make = world.git_command(&world.mirror(), &["update-ref", "--stdin"]);
    make.stdin(fs::File::open(tree.join("lines")).unwrap());
    assert!(make.status().unwrap().success());
    for (version, copy) in [("0", "copy0"), ("2", "copy2")] {
        let protocol = format!("protocol.version={version}");
        let clone = ["-c", &protocol, "-c", "http.postBuffer=65536", "clone", "-q"];
        world.git_ok(world.root(), &[&clone[..], &[&world.url(), copy]].concat());
        let tags = world.git_ok(&world.root().join(copy), &["tag"]);
        assert_eq!(tags.lines().count(), 3000, "version {version}");
    }
    // As many commands in one push.
    let copy = world.root().join("copy2");
    world.git_ok(&copy, &["push", "-q", "origin", "--delete", "t1", "t2"]);
    world.git_ok(&copy, &["push", "-q", "--prune", "origin", "refs/tags/*:refs/tags/*"]);
}

#[test]
fn pushes_smaller_and_larger_than_the_post_buffer_work() {
    let world = World::new();
    let (tree, _) = pushed(&world);
    for (buffer, bytes) in [("65536", 60_000), ("65536", 70_000), ("10485760", 3 << 20)] {
        let tip = world.commit(&tree, &format!("f{buffer}{bytes}"), bytes);
        let setting = format!("http.postBuffer={buffer}");
        world.git_ok(&tree, &["-c", &setting, "push", "-q", "origin", "main"]);
        assert_eq!(world.in_mirror(&["rev-parse", "main"]), tip);
    }
}

#[test]
fn the_dumb_protocol_is_not_served() {
    let world = World::new();
    pushed(&world);
    let mut clone = world.git_command(world.root(), &["clone", "-q", &world.url(), "copy"]);
    assert!(!clone.env("GIT_SMART_HTTP", "0").output().unwrap().status.success());
}

#[test]
fn without_credentials_git_is_asked_for_them_and_nothing_is_told() {
    let world = World::new();
    pushed(&world);
    let bare = world.url().replace(&format!("{TOKEN}:x@"), "");
    for url in [bare.clone(), bare.replace("/web.git", "/nothing.git")] {
        let refused = world.git(world.root(), &["ls-remote", &url]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("could not read Username"), "{said}");
    }
}

#[test]
fn a_sparse_partial_clone_fetches_what_it_shows() {
    let world = World::new();
    let tree = world.work_tree("a", 10);
    for directory in ["in", "out"] {
        fs::create_dir(tree.join(directory)).unwrap();
        world.commit(&tree, &format!("{directory}/file"), 1000);
    }
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    // `--sparse` of git 2.25 looks for its new repository in a directory named like the URL.
    let sparse = if world.client_is((2, 26)) { "--sparse" } else { "--no-checkout" };
    let options = ["clone", "-q", "--filter=blob:none", sparse];
    world.git_ok(world.root(), &[&options[..], &[&world.url(), "copy"]].concat());
    let copy = world.root().join("copy");
    assert!(!copy.join("in").exists());
    world.git_ok(&copy, &["sparse-checkout", "set", "in"]);
    world.git_ok(&copy, &["checkout", "-q", "main"]);
    assert!(copy.join("in/file").exists() && !copy.join("out").exists());
}

#[test]
fn a_submodule_by_relative_url_is_cloned() {
    let world = World::new();
    let (tree, _) = pushed(&world);
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "-b", "main"];
    world.git_ok(&tree, &[&add[..], &["./", "inner"]].concat());
    world.git_ok(&tree, &["commit", "-q", "-m", "a part of itself"]);
    world.git_ok(&tree, &["push", "-q", "origin", "main:outer"]);
    let clone = ["clone", "-q", "--recurse-submodules", "-b", "outer"];
    world.git_ok(world.root(), &[&clone[..], &[&world.url(), "copy"]].concat());
    assert!(world.root().join("copy/inner/first").exists());
}

#[test]
fn refs_of_odd_names_go_both_ways() {
    let world = World::new();
    let (tree, tip) = pushed(&world);
    for name in ["ü/ß", "a#b", "x{y}", "-n", "PACK", "%2e", "a;b&c=d", "0000", "'q'"] {
        let full = format!("refs/heads/{name}");
        world.git_ok(&tree, &["push", "-q", "origin", &format!("main:{full}")]);
        world.git_ok(&tree, &["fetch", "-q", "origin", &full]);
        assert_eq!(world.in_mirror(&["rev-parse", &full]), tip, "{name}");
        world.git_ok(&tree, &["push", "-q", "origin", &format!(":{full}")]);
        let kept = world.in_mirror(&["for-each-ref", &format!("refs/terok/backup/{name}/")]);
        assert!(kept.contains(&tip), "{name}");
    }
}

#[test]
fn a_shallow_clone_is_deepened_by_date_and_number() {
    let world = World::new();
    let tree = world.work_tree("a", 10);
    (0..5).for_each(|n| drop(world.commit(&tree, &format!("f{n}"), 10)));
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    world.git_ok(world.root(), &["clone", "-q", "--depth=1", &world.url(), "copy"]);
    let count =
        |copy: &Path| world.git_ok(copy, &["rev-list", "--count", "HEAD"]).trim().to_owned();
    let copy = world.root().join("copy");
    world.git_ok(&copy, &["fetch", "-q", "--deepen=2"]);
    assert_eq!(count(&copy), "3");
    world.git_ok(&copy, &["fetch", "-q", "--shallow-since=2000-01-01"]);
    assert_eq!(count(&copy), "6");
}

fn with<'a>(setting: &'a str, words: &[&'a str]) -> Vec<&'a str> {
    [&["-c", setting], words].concat()
}

#[test]
fn every_version_of_the_protocol_is_spoken() {
    let world = World::new();
    let (tree, _) = pushed(&world);
    for version in ["0", "1", "2"] {
        let protocol = format!("protocol.version={version}");
        let tip = world.commit(&tree, &format!("v{version}"), 1000);
        world.git_ok(&tree, &with(&protocol, &["push", "-q", "origin", "main"]));
        let listed =
            world.git_ok(&tree, &with(&protocol, &["ls-remote", "origin", "refs/heads/main"]));
        assert!(listed.starts_with(&tip), "version {version}: {listed}");
        let copy = format!("copy{version}");
        world.git_ok(
            world.root(),
            &with(&protocol, &["clone", "-q", "--depth=2", &world.url(), &copy]),
        );
        let copy = world.root().join(copy);
        world.git_ok(&copy, &with(&protocol, &["fetch", "-q", "--unshallow"]));
        assert_eq!(world.git_ok(&copy, &["rev-parse", "HEAD"]).trim(), tip);
        world.git_ok(&copy, &["fsck", "--full"]);
    }
}

#[test]
fn credentials_come_from_an_askpass_program_too() {
    let world = World::new();
    pushed(&world);
    let askpass = world.root().join("askpass");
    fs::write(&askpass, format!("#!/bin/sh\ncase $1 in User*) echo {TOKEN};; *) echo x;; esac\n"))
        .unwrap();
    fs::set_permissions(&askpass, fs::Permissions::from_mode(0o755)).unwrap();
    let bare = world.url().replace(&format!("{TOKEN}:x@"), "");
    let mut clone = world.git_command(world.root(), &["clone", "-q", &bare, "copy"]);
    let cloned = clone.env("GIT_ASKPASS", &askpass).output().unwrap();
    assert!(cloned.status.success(), "{}", String::from_utf8_lossy(&cloned.stderr));
    assert!(world.root().join("copy/first").exists());
}

#[test]
fn a_dry_run_pushes_nothing_and_a_push_of_nothing_new_says_so() {
    let world = World::new();
    let (tree, tip) = pushed(&world);
    world.commit(&tree, "second", 10);
    world.git_ok(&tree, &["push", "-q", "--dry-run", "origin", "main"]);
    assert_eq!(world.in_mirror(&["rev-parse", "main"]), tip);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    let said = world.git_ok(&tree, &["push", "origin", "main"]);
    assert!(said.contains("Everything up-to-date"), "{said}");
}

#[test]
fn what_git_complains_about_is_in_the_log() {
    let world = World::new();
    pushed(&world);
    let body = pkt("want nonsense\n") + "0000";
    let length = format!("Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut stream = begin(&world, "upload-pack", length.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    eventually("git's complaint is logged", Duration::from_secs(5), || {
        world.said().contains("git: fatal:")
    });
    world.git_ok(world.root(), &["ls-remote", &world.url()]);
}

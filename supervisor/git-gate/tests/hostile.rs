//! A repository that would like to run code or to read what is not its own.

#![allow(clippy::unwrap_used)] // a broken expectation ends the test

mod gate;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use gate::World;

/// A program that leaves a canary in the repository, the one place where it could.
fn trap(world: &World, path: &Path) -> PathBuf {
    let canary = world.mirror().join("canary");
    fs::write(path, format!("#!/bin/sh\ntouch {}\nexit 0\n", canary.display())).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}

/// Clones, pushes, deletes and fetches again: everything a client can make git do.
fn exercise(world: &World) {
    let tree = world.work_tree("work", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main", "main:gone"]);
    world.git_ok(&tree, &["commit", "-q", "--amend", "-m", "other"]);
    world.git_ok(&tree, &["push", "-q", "-f", "origin", "main", ":gone"]);
    world.git_ok(world.root(), &["clone", "-q", &world.url(), "copy"]);
    assert!(!world.mirror().join("canary").exists(), "code of the repository ran");
}

#[test]
fn hooks_of_the_repository_never_run() {
    let world = World::new();
    for hook in [
        "pre-receive",
        "update",
        "post-receive",
        "post-update",
        "proc-receive",
        "reference-transaction",
        "push-to-checkout",
        "pre-auto-gc",
    ] {
        trap(&world, &world.mirror().join("hooks").join(hook));
    }
    exercise(&world);
}

#[test]
fn settings_of_the_repository_start_no_program() {
    let world = World::new();
    let evil = trap(&world, &world.mirror().join("evil"));
    let evil = evil.to_str().unwrap();
    for (key, value) in [
        ("core.hooksPath", world.mirror().to_str().unwrap()),
        ("core.fsmonitor", evil),
        ("core.alternateRefsCommand", evil),
        ("core.sshCommand", evil),
        ("core.pager", evil),
        ("core.editor", evil),
        ("core.askPass", evil),
        ("credential.helper", evil),
        ("uploadpack.packObjectsHook", evil),
        ("gpg.program", evil),
        ("gc.recentObjectsHook", evil),
        ("gc.auto", "1"),
        ("receive.certNonceSeed", "x"),
        ("extensions.partialClone", "evil"),
        ("remote.evil.promisor", "true"),
        ("remote.evil.url", &format!("ext::{evil}")),
        ("protocol.ext.allow", "always"),
        ("protocol.allow", "always"),
        ("http.receivepack", "false"),
        ("transfer.hideRefs", "!refs/terok"),
    ] {
        world.in_mirror(&["config", key, value]);
    }
    trap(&world, &world.mirror().join("post-receive"));
    fs::write(world.mirror().join("objects/info/alternates"), "../../other.git/objects\n").unwrap();
    exercise(&world);
    let listed = world.git_ok(world.root(), &["ls-remote", &world.url()]);
    assert!(!listed.contains("refs/terok"), "{listed}");
    assert!(!world.in_mirror(&["for-each-ref", "refs/terok/backup"]).is_empty());
}

#[test]
fn a_signed_push_runs_no_signature_program() {
    let world = World::new();
    let evil = trap(&world, &world.mirror().join("evil"));
    world.in_mirror(&["config", "receive.certNonceSeed", "x"]);
    world.in_mirror(&["config", "gpg.program", evil.to_str().unwrap()]);
    let signer = world.root().join("signer");
    fs::write(
        &signer,
        "#!/bin/sh\ncat >/dev/null\necho '\n[GNUPG:] SIG_CREATED ' >&2\n\
         printf -- '-----BEGIN PGP SIGNATURE-----\\n\\nx\\n-----END PGP SIGNATURE-----\\n'\n",
    )
    .unwrap();
    fs::set_permissions(&signer, fs::Permissions::from_mode(0o755)).unwrap();
    let tree = world.work_tree("work", 10);
    let program = format!("gpg.program={}", signer.display());
    world.git_ok(&tree, &["-c", &program, "push", "-q", "--signed", "origin", "main"]);
    assert!(!world.mirror().join("canary").exists());
}

#[test]
fn objects_of_another_repository_are_out_of_reach() {
    let world = World::new();
    let tree = world.work_tree("work", 10);
    let other = world.base().join("other.git");
    world.git_ok(world.root(), &["clone", "-q", "--bare", "work", other.to_str().unwrap()]);
    let tip = world.git_ok(&tree, &["rev-parse", "HEAD"]).trim().to_owned();
    let borrow = format!("{}\n", other.join("objects").display());
    fs::write(world.mirror().join("objects/info/alternates"), borrow).unwrap();
    world.in_mirror(&["update-ref", "refs/heads/main", &tip]);
    let refused = world.git(world.root(), &["clone", "-q", &world.url(), "copy"]);
    let copy = world.root().join("copy");
    let got = copy.exists() && world.git(&copy, &["cat-file", "-e", &tip]).status.success();
    assert!(!got, "{}", String::from_utf8_lossy(&refused.stderr));
}

#[test]
fn files_outside_are_not_read_through_an_include() {
    let world = World::new();
    let secret = world.root().join("secret");
    fs::write(&secret, "[uploadpack]\n\tadvertiseBundleURIs = true\nhunter2\n").unwrap();
    world.in_mirror(&["config", "include.path", secret.to_str().unwrap()]);
    let refused = world.git(world.root(), &["ls-remote", &world.url()]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned() + &world.said();
    assert!(said.contains("Permission denied") && !said.contains("hunter2"), "{said}");
}

#[test]
fn a_mirror_of_another_owner_is_served() {
    if !nix::unistd::geteuid().is_root() {
        std::println!("skipped: only root can give a directory away");
        return;
    }
    let world = World::new();
    let everything = fs::read_dir(world.mirror()).unwrap().flatten().map(|entry| entry.path());
    for path in everything.chain([world.mirror()]) {
        chown(&path, Some(12345), None).unwrap();
    }
    let opened = std::process::Command::new("chmod")
        .args(["-R", "a+rwX"])
        .args([world.mirror(), world.root().to_owned()])
        .status();
    assert!(opened.unwrap().success());
    let mut tree = world.git_command(world.root(), &["clone", "-q", &world.url(), "copy"]);
    assert!(tree.status().unwrap().success(), "{}", world.said());
}

//! What `packaging` makes: an installation below any prefix, an archive, a package for Debian.
//!
//! The programs are those under test, without their debugging information. A package that is
//! really installed is `make test-deb`'s part, which needs root and Debian's mirror.

#![allow(clippy::unwrap_used, reason = "a test says what it could not do by failing")]

mod stage;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use stage::{Stage, files_below, ok, workspace};
use terok_tests::programs::{Programs, WRAPPER};

#[test]
fn an_installation_has_everything_and_setup_finds_it() {
    let stage = Stage::new();
    let destdir = stage.path("destdir");
    stage.make("install", "/usr/local", &destdir);
    let prefix = destdir.join("usr/local");
    for file in [
        "bin/terokctl",
        "share/man/man1/terokctl.1",
        "share/man/man1/terokctl-vault-add.1",
        "share/bash-completion/completions/terokctl",
        "share/zsh/site-functions/_terokctl",
        "share/fish/vendor_completions.d/terokctl.fish",
        "share/doc/terok/README.md",
        "share/doc/terok/docs/threats.md",
    ] {
        assert!(prefix.join(file).is_file(), "{file}");
    }
    every_program_answers(&stage, &prefix);
    stage.setup_dry_run(&prefix);

    stage.make("uninstall", "/usr/local", &destdir);
    assert_eq!(files_below(&destdir), Vec::<String>::new());
}

#[test]
fn the_same_programs_give_the_same_archive() {
    let stage = Stage::new();
    let made = ["one", "two"].map(|name| {
        let out = stage.path(name);
        stage.touch_programs();
        ok(stage.command("packaging/archive").arg(stage.programs()).arg(&out));
        ok(Command::new("sha256sum").arg("--check").arg("SHA256SUMS").current_dir(&out));
        out
    });
    assert_eq!(packed(&made[0], "tar.gz"), packed(&made[1], "tar.gz"));

    let unpacked = stage.path("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let archive = file_with(&made[0], "tar.gz");
    ok(Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(&unpacked));
    let top = fs::read_dir(&unpacked).unwrap().next().unwrap().unwrap().path();
    every_program_answers(&stage, &top);
    stage.setup_dry_run(&top);
}

#[test]
fn the_same_programs_give_the_same_debian_package() {
    if Command::new("dpkg-deb").arg("--version").output().is_err() {
        stage::skip("no dpkg-deb: the package for Debian");
        return;
    }
    let stage = Stage::new();
    let made = ["one", "two"].map(|name| {
        let out = stage.path(name);
        stage.touch_programs();
        let mut deb = stage.command("packaging/deb");
        ok(deb.arg(stage.programs()).arg(&out));
        out
    });
    assert_eq!(packed(&made[0], "deb"), packed(&made[1], "deb"));

    let package = file_with(&made[0], "deb");
    let field = |name| ok(Command::new("dpkg-deb").arg("--field").arg(&package).arg(name));
    assert_eq!(field("Version").trim(), env!("CARGO_PKG_VERSION"));
    let depends = field("Depends");
    for library in ["libc6 (>= 2.", "libgcc-s1", "git"] {
        assert!(depends.contains(library), "{depends}");
    }

    let root = stage.path("root");
    ok(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&root));
    every_program_answers(&stage, &root.join("usr"));
    stage.setup_dry_run(&root.join("usr"));
}

/// Debian's own tool judges which libraries in which versions a package of these programs needs.
#[test]
fn the_libraries_it_depends_on_are_those_that_debians_tool_finds() {
    if Command::new("dpkg-shlibdeps").arg("--version").output().is_err() {
        stage::skip("no dpkg-shlibdeps: the package's dependencies");
        return;
    }
    let stage = Stage::new();
    let judge = stage.path("judge");
    fs::create_dir_all(judge.join("debian")).unwrap();
    fs::write(judge.join("debian/control"), "Source: terok\n\nPackage: terok\nArchitecture: any\n")
        .unwrap();
    let mut shlibdeps = Command::new("dpkg-shlibdeps");
    shlibdeps.arg("-O").current_dir(&judge);
    let expected = ok(shlibdeps.args(stage.every_program()));
    let expected = expected.trim().strip_prefix("shlibs:Depends=").unwrap();

    let out = stage.path("out");
    let mut deb = stage.command("packaging/deb");
    ok(deb.arg(stage.programs()).arg(&out));
    let package = file_with(&out, "deb");
    let depends = ok(Command::new("dpkg-deb").arg("--field").arg(&package).arg("Depends"));
    assert!(depends.starts_with(expected), "{depends} instead of {expected}");
}

#[test]
fn the_changelog_names_this_version_and_its_formats() {
    let changelog = fs::read_to_string(workspace().join("CHANGELOG.md")).unwrap();
    assert!(changelog.contains(env!("CARGO_PKG_VERSION")));
    let contract = terok_shared::sidecar::CONTRACT;
    assert!(changelog.contains(&format!("terok-sandbox {contract}")), "{contract}");
}

/// Every program says the version of this workspace, is executable for all, and the gate's links
/// lead to the gate.
#[track_caller]
fn every_program_answers(stage: &Stage, prefix: &Path) {
    let said = ok(stage.terokctl(prefix).args(["version", "--verbose"]));
    let version = env!("CARGO_PKG_VERSION");
    for program in Programs::private() {
        let path = prefix.join("libexec/terok").join(program);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o755, "{program}");
        // The wrapper says the version of the runtime it stands in front of.
        let expected = if program == WRAPPER { "real runtime" } else { version };
        let line = said.lines().find(|line| line.starts_with(program));
        assert!(line.is_some_and(|line| line.contains(expected)), "{said}");
    }
    assert!(said.contains(terok_shared::sidecar::CONTRACT), "{said}");
    let gate = prefix.join("libexec/terok/terok-git-gate").canonicalize().unwrap();
    for link in ["hooks/pre-receive", "hooks/post-receive", "bin/silent"] {
        let link = prefix.join("libexec/terok/git-home").join(link);
        assert_eq!(link.canonicalize().unwrap(), gate, "{}", link.display());
    }
}

fn packed(directory: &Path, ending: &str) -> Vec<u8> {
    fs::read(file_with(directory, ending)).unwrap()
}

fn file_with(directory: &Path, ending: &str) -> std::path::PathBuf {
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut found = files.filter(|path| path.to_str().unwrap().ends_with(ending));
    found.next().expect("the script made one")
}

//! What a push leaves behind: backups of what it threw away, and the marker.

#![allow(clippy::unwrap_used)] // a broken expectation ends the test

mod gate;

use std::fs;

use gate::World;

fn backups(world: &World) -> Vec<(String, String)> {
    let listed = world.in_mirror(&[
        "for-each-ref",
        "--format=%(refname) %(objectname)",
        "refs/terok/backup",
    ]);
    let split = |line: &str| line.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned()));
    listed.lines().filter_map(split).collect()
}

#[test]
fn a_force_push_saves_the_old_tip_and_says_so() {
    let world = World::new();
    let tree = world.work_tree("a", 10);
    let old = world.git_ok(&tree, &["rev-parse", "HEAD"]).trim().to_owned();
    world.git_ok(&tree, &["push", "-q", "origin", "main:topic/x"]);
    world.git_ok(&tree, &["commit", "-q", "--amend", "-m", "other"]);
    let said = world.git_ok(&tree, &["push", "-f", "origin", "main:topic/x"]);
    let saved = backups(&world);
    assert_eq!(saved.len(), 1);
    let (name, tip) = &saved[0];
    assert_eq!(*tip, old);
    let leaf = name.strip_prefix("refs/terok/backup/topic/x/").unwrap();
    let (stamp, short) = leaf.split_once('-').unwrap();
    assert_eq!(short, &old[..12]);
    assert_eq!(stamp.len(), "20260102T030405Z".len());
    assert!(said.contains(&format!("gate: saved {name}")), "{said}");
}

#[test]
fn a_deleted_branch_is_saved_and_a_deleted_tag_is_not() {
    let world = World::new();
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["tag", "v1"]);
    world.git_ok(&tree, &["push", "-q", "origin", "main:gone", "v1"]);
    world.git_ok(&tree, &["push", "-q", "origin", ":gone", ":v1"]);
    assert_eq!(world.in_mirror(&["for-each-ref", "refs/heads", "refs/tags"]), "");
    let saved = backups(&world);
    assert_eq!(saved.len(), 1);
    assert!(saved[0].0.starts_with("refs/terok/backup/gone/"));
}

#[test]
fn a_fast_forward_and_a_new_branch_need_no_backup() {
    let world = World::new();
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    world.commit(&tree, "more", 10);
    world.git_ok(&tree, &["push", "-q", "-f", "origin", "main", "main:new"]);
    assert_eq!(backups(&world), []);
}

#[test]
fn backups_can_be_neither_seen_nor_written_by_clients() {
    let world = World::new();
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    world.git_ok(&tree, &["commit", "-q", "--amend", "-m", "other"]);
    world.git_ok(&tree, &["push", "-q", "-f", "origin", "main"]);
    let saved = backups(&world);
    for version in ["0", "2"] {
        let protocol = format!("protocol.version={version}");
        let listed = world.git_ok(&tree, &["-c", &protocol, "ls-remote", "origin"]);
        assert!(listed.contains("refs/heads/main"));
        assert!(!listed.contains("refs/terok"), "{listed}");
    }
    for refspec in [format!(":{}", saved[0].0), "main:refs/terok/x".to_owned()] {
        let refused = world.git(&tree, &["push", "origin", &refspec]);
        assert!(!refused.status.success());
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(why.contains("hidden ref") || why.contains("does not exist"), "{why}");
    }
    assert_eq!(backups(&world), saved);
    assert_eq!(world.in_mirror(&["for-each-ref", "refs/terok/x"]), "");
}

#[test]
fn the_marker_holds_time_updates_and_notes() {
    let world = World::new();
    let tree = world.work_tree("a", 10);
    let old = world.git_ok(&tree, &["rev-parse", "HEAD"]).trim().to_owned();
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    world.git_ok(&tree, &["commit", "-q", "--amend", "-m", "other"]);
    let new = world.git_ok(&tree, &["rev-parse", "HEAD"]).trim().to_owned();
    world.git_ok(&tree, &["push", "-q", "-f", "origin", "main"]);
    let marker = fs::read_to_string(world.mirror().join("terok-push-marker")).unwrap();
    let lines: Vec<_> = marker.lines().collect();
    assert_eq!(lines.len(), 3, "{marker}");
    assert_eq!((lines[0].len(), &lines[0][26..]), (32, "+00:00"), "{marker}");
    assert_eq!(lines[1], format!("{old} {new} refs/heads/main"));
    assert_eq!(lines[2], format!("backed-up {}", backups(&world)[0].0));
    let files = fs::read_dir(world.mirror()).unwrap().flatten();
    let markers = files.filter(|f| f.file_name().to_string_lossy().contains("marker"));
    assert_eq!(markers.count(), 1);
}

#[test]
fn a_failed_backup_warns_and_lets_the_push_stand() {
    let world = World::new();
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    // A ref where the backup needs a directory.
    world.in_mirror(&["update-ref", "refs/terok/backup", "main"]);
    world.git_ok(&tree, &["commit", "-q", "--amend", "-m", "other"]);
    let said = world.git_ok(&tree, &["push", "-f", "origin", "main"]);
    assert!(said.contains("gate: WARNING could not back up main"), "{said}");
    let marker = fs::read_to_string(world.mirror().join("terok-push-marker")).unwrap();
    assert!(marker.contains("\nbackup-FAILED main "), "{marker}");
    assert_eq!(
        world.in_mirror(&["rev-parse", "main"]),
        world.git_ok(&tree, &["rev-parse", "HEAD"]).trim()
    );
}

#[test]
fn a_branch_name_that_is_not_utf8_is_backed_up() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let world = World::new();
    let tree = world.work_tree("a", 10);
    for refspec in [&b"main:refs/heads/b\xff"[..], b":refs/heads/b\xff"] {
        let mut push = world.git_command(&tree, &["push", "-q", "origin"]);
        assert!(push.arg(OsStr::from_bytes(refspec)).status().unwrap().success());
    }
    let listed = world.git(&world.mirror(), &["for-each-ref", "--format=%(refname)"]).stdout;
    assert!(listed.starts_with(b"refs/terok/backup/b\xff/"), "{listed:?}");
}

#[test]
fn a_deletion_with_a_made_up_old_tip_is_refused() {
    let world = World::new();
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    let tip = world.in_mirror(&["rev-parse", "main"]);
    let null = "0".repeat(40);
    // git would delete the branch: it takes an unknown old object for that of a damaged ref.
    for old in [&null, &"1".repeat(40)] {
        let command = gate::pkt(&format!("{old} {null} refs/heads/main\0report-status"));
        let answer = gate::post_push(&world, &format!("{command}0000"));
        assert!(answer.contains("ng refs/heads/main "), "{answer}");
        assert_eq!(world.in_mirror(&["rev-parse", "main"]), tip);
    }
    assert_eq!(backups(&world), []);
}

#[test]
fn a_backup_is_made_before_the_branch_moves() {
    let world = World::new();
    let tree = world.work_tree("a", 10);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    let tip = world.in_mirror(&["rev-parse", "main"]);
    world.git_ok(&tree, &["commit", "-q", "--amend", "-m", "other"]);
    // The move itself fails: somebody else holds the branch's lock.
    fs::write(world.mirror().join("refs/heads/main.lock"), "").unwrap();
    let refused = world.git(&tree, &["push", "-q", "-f", "origin", "main"]);
    assert!(!refused.status.success());
    assert_eq!(world.in_mirror(&["rev-parse", "main"]), tip);
    assert_eq!(backups(&world).iter().map(|(_, tip)| tip.clone()).collect::<Vec<_>>(), [tip]);
}

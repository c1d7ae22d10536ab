//! Mirrors: made, synced, restored and pruned, judged by git itself.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use crate::machine::{Machine, files_below};

/// A machine with an upstream repository and a work tree of it.
pub(crate) struct Place {
    pub(crate) machine: Machine,
    pub(crate) upstream: PathBuf,
}

impl Place {
    pub(crate) fn on(machine: Machine) -> Self {
        let place = Self { upstream: machine.path("upstream.git"), machine };
        let upstream = place.upstream.to_str().unwrap();
        place.git(".", &["init", "-q", "--bare", "-b", "trunk", upstream]);
        place.git(".", &["init", "-q", "-b", "trunk", "tree"]);
        place.git("tree", &["remote", "add", "origin", upstream]);
        place.commit("first");
        place.git("tree", &["push", "-q", "origin", "trunk"]);
        place
    }

    fn new() -> Self {
        Self::on(Machine::bare())
    }

    /// With a mirror of the upstream.
    fn mirrored() -> Self {
        let place = Self::new();
        place.machine.ok(&["gate", "init", "web", "--from", place.upstream.to_str().unwrap()]);
        place
    }

    pub(crate) fn git(&self, directory: &str, words: &[&str]) -> String {
        let output = self
            .machine
            .command("/usr/bin/git")
            .args(["-c", "user.name=T", "-c", "user.email=t@example.org"])
            .args(words)
            .current_dir(self.machine.path(directory))
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn commit(&self, message: &str) -> String {
        self.git("tree", &["commit", "-q", "--allow-empty", "-m", message]);
        self.git("tree", &["rev-parse", "HEAD"])
    }

    pub(crate) fn in_mirror(&self, words: &[&str]) -> String {
        self.git("state/gate/web.git", words)
    }

    /// A push of a container, past the gate.
    fn push_to_mirror(&self, refspec: &str) {
        let mirror = self.machine.text("state/gate/web.git");
        self.git("tree", &["push", "-q", "--force", &mirror, refspec]);
    }

    fn sync(&self, words: &[&str]) -> String {
        self.machine.ok(&[&["gate", "sync", "web"], words].concat())
    }

    fn backups(&self) -> String {
        self.in_mirror(&["for-each-ref", "--format=%(objectname) %(refname)", "refs/terok/backup"])
    }
}

#[test]
fn an_empty_mirror_is_made_once() {
    let machine = Machine::bare();
    let path = machine.ok(&["gate", "init", "web"]);
    assert_eq!(path.trim(), machine.text("state/gate/web.git"));
    assert!(!machine.path("state/gate/web.git/hooks").exists());
    machine.fails(&["gate", "init", "web"], "is there already", "gate sync");
    machine.fails(&["gate", "sync", "web"], "no upstream", "--from");
    machine.fails(&["gate", "status", "other"], "there is none", "gate init other");
}

#[test]
fn a_mirror_of_an_upstream_has_its_branches_tags_and_head() {
    let place = Place::new();
    place.git("tree", &["tag", "-a", "v1", "-m", "one"]);
    place.git("tree", &["push", "-q", "origin", "trunk:side", "v1"]);
    place.machine.ok(&["gate", "init", "web", "--from", place.upstream.to_str().unwrap()]);
    let heads =
        place.in_mirror(&["for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags"]);
    assert_eq!(heads, "refs/heads/side\nrefs/heads/trunk\nrefs/tags/v1");
    assert_eq!(place.in_mirror(&["symbolic-ref", "HEAD"]), "refs/heads/trunk");
    let status: Value =
        serde_json::from_str(&place.machine.ok(&["gate", "status", "web", "--json"])).unwrap();
    assert_eq!((&status["same"], &status["differences"]), (&3.into(), &serde_json::json!([])));
}

#[test]
fn an_upstream_that_cannot_be_reached_leaves_no_mirror() {
    let machine = Machine::bare();
    let nowhere = machine.text("nowhere.git");
    machine.fails(&["gate", "init", "web", "--from", &nowhere], "git ls-remote", "");
    let left = fs::read_dir(machine.path("state/gate")).unwrap().flatten();
    let left: Vec<_> =
        left.filter(|entry| entry.path().extension() != Some("lock".as_ref())).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_bar_is_drawn_for_whoever_watches_and_for_nobody_else() {
    let place = Place::new();
    let init = ["gate", "init", "web", "--from", place.upstream.to_str().unwrap()];
    let line = format!("{} {}", env!("CARGO_BIN_EXE_terokctl"), init.join(" "));
    let mut terminal = place.machine.command("script");
    terminal.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    let Ok(watched) = terminal.stdin(Stdio::null()).output() else {
        return std::println!("skipped: there is no script(1) to provide a terminal");
    };
    let seen = String::from_utf8_lossy(&watched.stdout).into_owned();
    assert!(watched.status.success() && seen.contains("[####"), "{seen}");
    fs::remove_dir_all(place.machine.path("state/gate/web.git")).unwrap();
    let said = place.machine.say(&init).everything();
    assert!(!said.contains("[####"), "{said}");
}

#[test]
fn secrets_in_a_url_are_refused_before_anything_is_made() {
    let machine = Machine::bare();
    let words = ["gate", "init", "web", "--from", "https://me:hunter2@example.org/p"];
    let said = machine.fails(&words, "holds a user name or password", "vault add");
    assert!(!said.err.contains("hunter2"));
    assert!(!machine.path("state/gate").exists());
}

#[test]
fn new_and_forwarded_refs_are_taken_over_by_themselves() {
    let place = Place::mirrored();
    let tip = place.commit("second");
    place.git("tree", &["push", "-q", "origin", "trunk", "trunk:new"]);
    assert!(place.sync(&[]).contains("1 new, 1 forwarded, 0 applied"));
    assert_eq!(place.in_mirror(&["rev-parse", "trunk"]), tip);
    assert_eq!(place.in_mirror(&["rev-parse", "new"]), tip);
    assert!(place.sync(&[]).contains("0 new, 0 forwarded, 0 applied"));
}

#[test]
fn what_an_agent_pushed_is_kept_and_told_as_ahead() {
    let place = Place::mirrored();
    let tip = place.commit("by an agent");
    place.push_to_mirror("trunk");
    place.push_to_mirror("trunk:agent/x");
    place.sync(&[]);
    assert_eq!(place.in_mirror(&["rev-parse", "trunk"]), tip);
    let status = place.machine.ok(&["gate", "status", "web"]);
    assert!(status.contains("trunk  ahead of upstream  1      0"), "{status}");
}

#[test]
fn every_other_change_waits_and_is_applied_with_a_backup() {
    let place = Place::mirrored();
    place.git("tree", &["tag", "v1"]);
    place.git("tree", &["push", "-q", "origin", "v1", "trunk:gone"]);
    place.sync(&[]);
    let ours = place.commit("by an agent");
    place.push_to_mirror("trunk");
    place.git("tree", &["reset", "-q", "--hard", "origin/trunk"]);
    let theirs = place.commit("upstream went elsewhere");
    place.git("tree", &["tag", "-f", "v1"]);
    place.git("tree", &["push", "-q", "-f", "origin", "trunk", "v1", ":gone"]);
    let listed = place.sync(&[]);
    assert!(listed.contains("3 changes pending"), "{listed}");
    for line in
        ["trunk         diverged", "refs/tags/v1  another object", "gone          removed upstream"]
    {
        assert!(listed.contains(line), "{listed}");
    }
    assert_eq!(place.in_mirror(&["rev-parse", "trunk"]), ours);
    // Told again until it is applied.
    assert!(place.sync(&[]).contains("3 changes pending"));
    assert!(place.sync(&["--apply", "trunk"]).contains("0 forwarded, 1 applied"));
    assert_eq!(place.in_mirror(&["rev-parse", "trunk"]), theirs);
    let kept = place.backups();
    assert!(kept.contains(&format!("{ours} refs/terok/backup/trunk/")), "{kept}");
    assert!(place.sync(&["--apply-all"]).contains("2 applied"));
    assert_eq!(place.in_mirror(&["rev-parse", "v1"]), theirs);
    assert_eq!(place.in_mirror(&["for-each-ref", "refs/heads/gone"]), "");
    let all = place.in_mirror(&["for-each-ref", "--format=%(refname)", "refs/terok"]);
    assert!(
        all.contains("refs/terok/backup/gone/") && all.contains("refs/terok/backup-of/tags/v1/")
    );
    assert!(!place.sync(&[]).contains("pending"));
    let words = ["gate", "sync", "web", "--apply", "nothing"];
    place.machine.fails(&words, "do not differ there", "gate status");
}

#[test]
fn a_branch_in_the_way_of_another_costs_only_that_one() {
    let place = Place::mirrored();
    place.push_to_mirror("trunk:a");
    place.git("tree", &["push", "-q", "origin", "trunk:a/b", "trunk:c"]);
    let said = place.machine.say(&["gate", "sync", "web"]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.out.contains("1 new") && said.err.contains("a/b: not taken over"), "{said:?}");
    assert!(place.in_mirror(&["for-each-ref", "refs/heads/c"]).contains("refs/heads/c"));
}

#[test]
fn a_backup_is_restored_and_what_was_there_becomes_one() {
    let place = Place::mirrored();
    let first = place.in_mirror(&["rev-parse", "trunk"]);
    let leaf = format!("trunk/20260102T030405Z-{}", &first[..12]);
    place.in_mirror(&["update-ref", &format!("refs/terok/backup/{leaf}"), &first]);
    let second = place.commit("second");
    place.push_to_mirror("trunk");
    let listed = place.machine.ok(&["gate", "backups", "web"]);
    assert!(listed.contains(&leaf) && listed.contains("first"), "{listed}");
    place.machine.ok(&["gate", "restore", "web", &leaf]);
    assert_eq!(place.in_mirror(&["rev-parse", "trunk"]), first);
    assert!(place.backups().contains(&format!("{second} refs/terok/backup/trunk/")));
    place.machine.ok(&["gate", "restore", "web", &leaf, "--to", "rescued"]);
    assert_eq!(place.in_mirror(&["rev-parse", "rescued"]), first);
    place.machine.fails(&["gate", "restore", "web", "x/y"], "no such backup", "gate backups");
    place.machine.fails(&["gate", "restore", "web", &leaf, "--to", "a..b"], "cannot name", "");
}

#[test]
fn old_backups_are_pruned_and_young_ones_stay() {
    let place = Place::mirrored();
    let tip = place.in_mirror(&["rev-parse", "trunk"]);
    let now = place.commit("now");
    place.push_to_mirror("trunk");
    let young = format!("trunk/29990102T030405Z-{}", &tip[..12]);
    for leaf in [&young, "trunk/20200102T030405Z-aaaaaaaaaaaa"] {
        place.in_mirror(&["update-ref", &format!("refs/terok/backup/{leaf}"), &tip]);
    }
    let told = place.machine.ok(&["gate", "prune", "web", "--dry-run"]);
    assert_eq!(told.trim(), "trunk/20200102T030405Z-aaaaaaaaaaaa");
    assert!(place.machine.ok(&["gate", "prune", "web"]).contains("removed 1 backup"));
    assert!(place.backups().ends_with(&young), "{}", place.backups());
    assert_eq!(place.in_mirror(&["rev-parse", "trunk"]), now);
}

#[test]
fn what_dead_pushes_left_is_pruned_and_living_ones_keep_theirs() {
    let place = Place::mirrored();
    let [dead, living] = ["dead", "living"].map(|name| {
        place.machine.path(&format!("state/gate/web.git/objects/tmp_objdir-incoming-{name}"))
    });
    for quarantine in [&dead, &living] {
        fs::create_dir_all(quarantine.join("pack")).unwrap();
        fs::write(quarantine.join("pack/tmp_pack_x"), [0; 4096]).unwrap();
    }
    let two_days_ago = std::time::SystemTime::now() - Duration::from_secs(2 * 24 * 60 * 60);
    fs::File::open(&dead).unwrap().set_modified(two_days_ago).unwrap();
    place.machine.ok(&["gate", "prune", "web", "--dry-run"]);
    assert!(dead.exists());
    let told = place.machine.ok(&["gate", "prune", "web", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["unfinished_pushes"], 1);
    assert!(!dead.exists() && living.exists());
    place.in_mirror(&["fsck", "--full", "--strict"]);
}

#[test]
fn a_sync_killed_at_any_point_loses_no_commit_and_the_next_one_finishes() {
    let place = Place::mirrored();
    let mut tips = Vec::new();
    let start = Instant::now();
    place.sync(&["--apply-all"]);
    let whole = start.elapsed();
    for round in 0..25_u32 {
        // An agent goes on from where the mirror is; upstream rewrites, adds and removes.
        place.git("tree", &["fetch", "-q", &place.machine.text("state/gate/web.git"), "trunk"]);
        place.git("tree", &["reset", "-q", "--hard", "FETCH_HEAD"]);
        tips.push(place.commit(&format!("agent {round}")));
        place.push_to_mirror("HEAD:refs/heads/trunk");
        place.git("tree", &["reset", "-q", "--hard", "origin/trunk"]);
        place.git(
            "tree",
            &["commit", "-q", "--amend", "--allow-empty", "-m", &format!("up {round}")],
        );
        let (add, remove) =
            (format!("HEAD:refs/heads/r{round}"), format!(":r{}", round.saturating_sub(2)));
        place.git("tree", &["push", "-q", "-f", "origin", "HEAD:trunk", &add]);
        if round > 2 {
            place.git("tree", &["push", "-q", "-f", "origin", &remove]);
        }
        let mut sync = place.machine.terokctl(&["gate", "sync", "web", "--apply-all"]);
        let sync = sync.stdout(Stdio::null()).process_group(0);
        let mut sync = sync.spawn().unwrap();
        // All along a sync, which takes a little longer when there is something to do.
        std::thread::sleep(whole * round / 20);
        if round % 2 == 0 {
            // A git that it started may live on for a moment and hold the locks it removes itself.
            sync.kill().unwrap();
            sync.wait().unwrap();
            std::thread::sleep(Duration::from_millis(100));
        } else {
            // As when the machine goes down: git goes with it, its locks are the operator's to
            // remove.
            killpg(Pid::from_raw(sync.id().cast_signed()), Signal::SIGKILL).unwrap();
            sync.wait().unwrap();
            let mirror = place.machine.path("state/gate/web.git");
            let locks = files_below(&mirror).into_iter().map(|(path, _)| path);
            locks.filter(|path| path.extension().is_some_and(|end| end == "lock")).for_each(
                |lock| {
                    fs::remove_file(lock).unwrap();
                },
            );
        }
        tips.push(place.in_mirror(&["rev-parse", "trunk"]));
        place.in_mirror(&["fsck", "--full", "--strict"]);
    }
    place.sync(&["--apply-all"]);
    let reachable = place.in_mirror(&["rev-list", "--all"]);
    for tip in tips {
        assert!(reachable.contains(&tip), "{tip} is lost");
    }
    assert_eq!(
        place.in_mirror(&["rev-parse", "trunk"]),
        place.git("upstream.git", &["rev-parse", "trunk"])
    );
}

#[test]
fn an_interrupted_init_is_begun_anew() {
    let place = Place::new();
    let draft = place.machine.path("state/gate/.web.git.new");
    fs::create_dir_all(draft.join("objects")).unwrap();
    place.machine.ok(&["gate", "init", "web", "--from", place.upstream.to_str().unwrap()]);
    assert!(!draft.exists());
    assert!(place.in_mirror(&["rev-parse", "trunk"]).len() == 40);
}

#[test]
fn two_syncs_at_once_do_not_meet() {
    let place = Place::mirrored();
    let lock = fs::File::create(place.machine.path("state/gate/web.lock")).unwrap();
    let _held = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusiveNonblock).unwrap();
    place.machine.fails(&["gate", "sync", "web"], "another terokctl does", "try again");
}

#[test]
fn hooks_and_settings_of_a_mirror_start_nothing() {
    let place = Place::mirrored();
    let canary = place.machine.text("canary");
    let script = format!("#!/bin/sh\ntouch {canary}\n");
    for hook in ["reference-transaction", "post-fetch", "pre-auto-gc"] {
        let path = place.machine.write(&format!("state/gate/web.git/hooks/{hook}"), &script);
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let evil = place.machine.write("state/gate/web.git/evil", &script);
    fs::set_permissions(&evil, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    place.in_mirror(&["config", "core.fsmonitor", evil.to_str().unwrap()]);
    place.in_mirror(&[
        "config",
        "core.hooksPath",
        place.machine.path("state/gate/web.git/hooks").to_str().unwrap(),
    ]);
    place.commit("more");
    place.git("tree", &["push", "-q", "origin", "trunk"]);
    place.sync(&[]);
    place.machine.ok(&["gate", "prune", "web"]);
    assert!(!place.machine.path("canary").exists());
}

#[test]
fn the_log_shows_a_projects_pushes() {
    let place = Place::mirrored();
    let line = |scope: &str, name: &str, rest: &str| {
        format!(
            "{{\"ts\":\"2026-01-02T03:04:05+00:00\",\"scope\":\"{scope}\",\"subject\":\"c1\",\
             \"kind\":\"push\",\"ref\":\"refs/heads/{name}\",\"old\":\"{}\",\"new\":\"{}\",{rest}}}\n",
            "0".repeat(40),
            "a".repeat(40)
        )
    };
    let refused = "\"outcome\":\"refused\",\"reason\":\"protected by the gate's policy\"";
    let audit = line("web", "x", "\"outcome\":\"ok\"")
        + &line("other", "y", "\"outcome\":\"ok\"")
        + &line("web", "main", refused);
    place.machine.write("vault/credential_audit.jsonl", &audit);
    let log = place.machine.ok(&["gate", "log", "web"]);
    assert!(
        log.contains("refused: protected by the gate's policy") && !log.contains(" y "),
        "{log}"
    );
    let json: Value =
        serde_json::from_str(&place.machine.ok(&["gate", "log", "web", "--json", "-n", "1"]))
            .unwrap();
    assert_eq!((json.as_array().unwrap().len(), &json[0]["container"]), (1, &"c1".into()));
}

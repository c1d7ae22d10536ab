//! Four clients at once against a model of what may never be lost, and kills in the middle of
//! pushes.

#![allow(clippy::unwrap_used)] // a broken expectation ends the test

mod gate;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use gate::{World, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A small generator of our own: a failed run is repeated by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // Numbers of Knuth's MMIX.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Every commit that a successful push made a branch's tip.
type Seen = Mutex<BTreeSet<String>>;

const BRANCHES: [&str; 5] = ["main", "a", "b", "agent/x", "agent/y"];

struct Client<'a> {
    world: &'a World,
    tree: PathBuf,
    dice: Dice,
    seen: &'a Seen,
    number: usize,
}

impl Client<'_> {
    fn act(&mut self) {
        let branch = BRANCHES[self.dice.roll(BRANCHES.len() as u64) as usize];
        let target = format!("HEAD:refs/heads/{branch}");
        match self.dice.roll(10) {
            0 => {
                let copy = self.world.root().join(format!("copy{}", self.number));
                let _ = fs::remove_dir_all(&copy);
                let url = self.world.url();
                self.world
                    .git_ok(self.world.root(), &["clone", "-q", &url, copy.to_str().unwrap()]);
            }
            1 => self.push(&[&format!(":refs/heads/{branch}")], false),
            2 | 3 => self.world.git_ok(&self.tree, &["fetch", "-q", "--prune", "origin"]).clear(),
            4..=6 => {
                self.commit();
                self.push(&["--force", &target], true);
            }
            7 => {
                self.commit();
                self.push(&["--atomic", "--force", &target, "HEAD:refs/heads/atomic"], true);
            }
            _ => {
                self.world.git(&self.tree, &["fetch", "-q", "--prune", "origin"]);
                let there = format!("origin/{branch}");
                self.world.git(&self.tree, &["reset", "-q", "--hard", &there]);
                self.commit();
                self.push(&[&target], true);
            }
        }
    }

    fn commit(&mut self) {
        let message = format!("{} {}", self.number, self.dice.roll(u64::MAX));
        self.world.git_ok(&self.tree, &["commit", "-q", "--allow-empty", "-m", &message]);
    }

    /// A push may lose a race; what it won counts.
    fn push(&self, refspecs: &[&str], brings: bool) {
        let tip = self.world.git_ok(&self.tree, &["rev-parse", "HEAD"]).trim().to_owned();
        let pushed = self.world.git(&self.tree, &[&["push", "-q", "origin"], refspecs].concat());
        if pushed.status.success() && brings {
            self.seen.lock().unwrap().insert(tip);
        }
    }
}

/// Every tip there ever was must be in the history of a branch or of a backup.
fn nothing_is_lost(world: &World, seen: &BTreeSet<String>) {
    let reachable: BTreeSet<String> =
        world.in_mirror(&["rev-list", "--all"]).lines().map(str::to_owned).collect();
    let lost: Vec<_> = seen.difference(&reachable).collect();
    assert!(lost.is_empty(), "lost: {lost:?}\n{}", world.in_mirror(&["for-each-ref"]));
    world.in_mirror(&["fsck", "--full", "--strict"]);
}

#[test]
fn two_hundred_operations_of_four_clients_lose_no_tip() {
    let world = World::new();
    let seed = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    std::println!("seed {seed}");
    let first = world.work_tree("first", 10);
    world.git_ok(&first, &["push", "-q", "origin", "main"]);
    let seen = Seen::default();
    seen.lock().unwrap().insert(world.in_mirror(&["rev-parse", "main"]));
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (world, seen) = (&world, &seen);
            scope.spawn(move || {
                let tree = world.root().join(format!("client{number}"));
                world.git_ok(world.root(), &["clone", "-q", &world.url(), tree.to_str().unwrap()]);
                let dice = Dice(seed.wrapping_add(number as u64 * 7919));
                let mut client = Client { world, tree, dice, seen, number };
                (0..50).for_each(|_| client.act());
            });
        }
    });
    let seen = seen.into_inner().unwrap();
    assert!(seen.len() > 50, "only {} pushes went through", seen.len());
    nothing_is_lost(&world, &seen);
}

/// Force-pushes `count` times while `blow` strikes; then every push must be whole or absent.
fn strike(count: u64, mut blow: impl FnMut(&mut World, u64)) {
    let mut world = World::new();
    let tree = world.work_tree("a", 200_000);
    world.git_ok(&tree, &["push", "-q", "origin", "main"]);
    let mut seen = BTreeSet::from([world.in_mirror(&["rev-parse", "main"])]);
    let mut went_through = 0;
    for round in 0..count {
        let message = format!("round {round}");
        world.git_ok(&tree, &["commit", "-q", "--amend", "--allow-empty", "-m", &message]);
        let tip = world.git_ok(&tree, &["rev-parse", "HEAD"]).trim().to_owned();
        let mut push = world.git_command(&tree, &["push", "-q", "--force", "origin", "main"]);
        let mut push = push.stderr(std::process::Stdio::null()).spawn().unwrap();
        blow(&mut world, round);
        let told = push.wait().unwrap().success();
        eventually("git has ended", Duration::from_secs(5), || world.backends().is_empty());
        let now = world.in_mirror(&["rev-parse", "main"]);
        assert!(now == tip || seen.contains(&now), "round {round}: main is something else");
        assert!(!told || now == tip, "round {round}: the client was told that it is there");
        went_through += u64::from(now == tip);
        seen.insert(now);
        // A lock that a killed git left is the operator's to remove; ours is to lose nothing.
        remove_locks(&world.mirror());
    }
    std::println!("{went_through} of {count} went through");
    nothing_is_lost(&world, &seen);
}

fn remove_locks(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            remove_locks(&path);
        } else if path.extension().is_some_and(|end| end == "lock") {
            fs::remove_file(&path).unwrap();
        }
    }
}

#[test]
fn pushes_with_killed_backends_are_whole_or_absent() {
    strike(60, |world, round| {
        std::thread::sleep(Duration::from_micros(round * 1300));
        for pid in world.backends() {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    });
}

#[test]
fn pushes_under_a_killed_gate_are_whole_or_absent() {
    strike(40, |world, round| {
        std::thread::sleep(Duration::from_micros(round * 2000));
        world.signal(Signal::SIGKILL);
        world.ended();
        world.start("/usr/bin:/bin");
    });
}

//! Two hundred blows to three containers, one after the other, drawn by lot: whatever is killed,
//! restarted, filled up or moved in time, the services answer again or the diary says why, and in
//! the end nothing is left.
//!
//! `TEROK_CHAOS_SEED` repeats a run, `TEROK_CHAOS_CYCLES` makes it shorter or longer.

mod dice;

mod disk;

mod machine;

mod subject;

mod blow;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use terok_shared::layout::StateRoot;
use terok_tests::eventually::eventually;

use crate::nothing_left::files_below;
use crate::operator::{self, Operator};
use blow::Blow;
use dice::Dice;
use disk::Disk;
use machine::Machine;
use subject::{Subject, Verdict};

const CYCLES: usize = 200;
/// A slow machine does fewer cycles, not longer ones.
const LIMIT: Duration = Duration::from_secs(150);
/// How often the container itself asks, which takes a process of podman's.
const ASK_INSIDE: usize = 10;

const NO_FILES: [PathBuf; 0] = [];

/// The ground: a state directory on a disk of its own, the operator's vault and podman.
pub(crate) struct Place<'o> {
    operator: &'o Operator,
    disk: Disk,
    root: StateRoot,
}

impl<'o> Place<'o> {
    fn new(operator: &'o Operator) -> Self {
        let disk = Disk::of(operator.home());
        let root = StateRoot::new(disk.path().join("state"));
        fs::create_dir(root.path()).unwrap();
        // The disk is too small for programs; respawn shall find the ones that podman runs.
        symlink(operator.state_root().programs(), root.programs()).unwrap();
        Self { operator, disk, root }
    }

    fn terokctl(&self, words: &[&str]) -> Output {
        let mut command = Command::new(self.operator.program("terokctl"));
        command.args(words).env("TEROK_SANDBOX_STATE_DIR", self.root.path());
        command.stdin(Stdio::null()).output().unwrap()
    }

    #[track_caller]
    fn terokctl_ok(&self, words: &[&str]) -> String {
        operator::succeeded(&format!("terokctl {words:?}"), self.terokctl(words))
    }
}

/// What came of one kind of blow.
#[derive(Default)]
struct Tally {
    times: usize,
    /// The services did not come back by themselves, and it was said why.
    told: usize,
    slowest: Duration,
}

#[test]
fn whatever_happens_services_answer_or_it_is_told_and_nothing_is_left() {
    let Some(operator) = operator::alone() else { return };
    let mut dice = Dice::from_environment();
    println!("TEROK_CHAOS_SEED={}", dice.seed);
    // podman's own process that keeps its namespaces is there from now on.
    operator.podman_ok(&["unshare", "true"]);
    let before = Machine::look(&operator);
    let place = Place::new(&operator);
    if !place.disk.is_small() {
        println!("left out: a full disk, {} is a large one", place.disk.path().display());
    }
    let mut subjects = [
        Subject::launch(&place, "chaos-eager", &["--loopback"]),
        Subject::launch(
            &place,
            "chaos-idle",
            &["--loopback", "--activation", "on-demand", "--leave-after", "1"],
        ),
        Subject::launch(&place, "chaos-tcp", &["--mode", "tcp"]),
    ];
    let tallies = suffer(&mut subjects, &mut dice);
    for (blow, Tally { times, told, slowest }) in tallies {
        println!("{blow:?}: {times} times, {told} told, slowest answer {} ms", slowest.as_millis());
    }
    for subject in &subjects {
        subject.podman(&["rm", "--force", "--time", "0"]);
    }
    expect_nothing(&place, &subjects, &before);
}

fn suffer(subjects: &mut [Subject<'_>], dice: &mut Dice) -> BTreeMap<Blow, Tally> {
    let cycles = std::env::var("TEROK_CHAOS_CYCLES").map_or(CYCLES, |text| text.parse().unwrap());
    let mut tallies: BTreeMap<Blow, Tally> = BTreeMap::new();
    let began = Instant::now();
    for cycle in 0..cycles {
        if began.elapsed() > LIMIT {
            println!("stopped after {cycle} of {cycles} cycles: {} s are over", LIMIT.as_secs());
            break;
        }
        let subject = &mut subjects[dice.below(3)];
        let blow = Blow::drawn(dice);
        let before = subject.told();
        let (name, since) = (subject.name, began.elapsed());
        println!("cycle {cycle} at {:.1} s: {blow:?}, {name}", since.as_secs_f64());
        blow.strike(subject, dice);
        let tally = tallies.entry(blow).or_default();
        tally.times += 1;
        match subject.verdict() {
            Verdict::After(took) => tally.slowest = tally.slowest.max(took),
            Verdict::NotYet(why) => {
                tally.told += 1;
                println!("cycle {cycle}, {blow:?}: {why}");
                let told = subject.told().into_iter().filter(|line| !before.contains(line));
                let told: Vec<String> = told.collect();
                // A diary on a full disk may be silent about it.
                let said = !told.is_empty() || blow == Blow::FullDisk;
                assert!(said, "{name}: {blow:?}: {why}, and nobody said a word");
                expect_cured(subject, &told.join("\n"));
            }
        }
        if cycle % ASK_INSIDE == 0 && subject.name != "chaos-tcp" {
            subject.ask_inside();
        }
    }
    println!("{} s of cycles", began.elapsed().as_secs());
    tallies
}

/// What the operator is told to do helps.
#[track_caller]
fn expect_cured(subject: &Subject<'_>, told: &str) {
    println!("  {}", told.replace('\n', "\n  "));
    let known = subject.told().len();
    let respawned = subject.place.terokctl(&["respawn", subject.name]);
    let Verdict::NotYet(why) = subject.verdict() else { return };
    let said = String::from_utf8_lossy(&respawned.stderr).into_owned();
    let since = subject.told().split_off(known).join("\n");
    panic!("{}: respawn does not help: {why}\n{said}{since}", subject.name);
}

/// No process, namespace, mount, socket or pid file; after cleanup no launch either.
fn expect_nothing(place: &Place<'_>, subjects: &[Subject<'_>], before: &Machine) {
    let mut last = vec![];
    eventually("nothing is left on the machine", || {
        let left = Machine::look(place.operator).new_since(before);
        if !left.is_empty() && left != last {
            println!("still there: {left:?}");
        }
        last = left;
        last.is_empty()
    });
    for subject in subjects {
        assert_eq!(files_below(&subject.socket_directory()), NO_FILES, "sockets");
        place.terokctl_ok(&["cleanup", subject.name]);
        assert!(!subject.socket_directory().exists());
    }
    assert_eq!(files_below(&place.root.sidecars()), NO_FILES, "sidecars");
    // podman does not call poststop for a container whose conmon was killed. If its supervisor was
    // killed too, only the janitor is left, after its grace period.
    println!("the janitor's: {:?}", files_below(&place.root.pids()));
    place.disk.move_times(&place.operator.runtime_dir(), "now - 1 day");
    place.terokctl(&["doctor", "--fix"]);
    assert_eq!(files_below(&place.root.pids()), NO_FILES, "pid and status files");
    fs::remove_dir_all(place.root.path()).unwrap();
}

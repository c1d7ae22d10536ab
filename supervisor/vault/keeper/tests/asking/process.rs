//! What the keeper's process shows to those who look at it.

use vault_grant::{Answer, Question};

use crate::house::{House, Keeper, PASSPHRASE, REAL, secret};

fn serving(house: &House) -> Keeper {
    let keeper = house.keeper();
    let question = Question::Grant { token: secret(&house.own[0]) };
    assert!(matches!(keeper.ask_as_broker(question), Answer::Grant(_)));
    keeper
}

fn status(keeper: &Keeper, field: &str) -> String {
    let text = String::from_utf8(keeper.file("status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {field} in {text}")).trim().to_owned()
}

#[test]
fn no_secret_is_in_its_arguments_environment_or_log() {
    let house = House::new();
    let keeper = serving(&house);
    let seen = [keeper.file("cmdline"), keeper.file("environ"), keeper.log().into_bytes()].concat();
    for hidden in [PASSPHRASE, REAL, &house.own[0], &house.own[1]] {
        let found = seen.windows(hidden.len()).any(|window| window == hidden.as_bytes());
        assert!(!found, "{hidden}");
    }
}

#[test]
fn what_it_writes_to_is_locked_in_memory() {
    let house = House::new();
    let keeper = serving(&house);
    let locked: u64 = status(&keeper, "VmLck").trim_end_matches(" kB").parse().unwrap();
    // SQLCipher by itself locks a few dozen.
    let (limit, _) =
        nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_MEMLOCK).unwrap();
    if limit < 7 * 1024 * 1024 {
        assert!(keeper.log().contains("secrets may be swapped out"), "{}", keeper.log());
    } else {
        assert!(locked > 400, "{locked} kB: {}", keeper.log());
    }
}

#[test]
fn it_runs_behind_a_list_of_the_calls_it_may_make() {
    let house = House::new();
    let keeper = serving(&house);
    assert_eq!(status(&keeper, "Seccomp"), "2");
    // One for calls unseen, one of refusals, and its own of permissions.
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let mine = own.lines().find_map(|line| line.strip_prefix("Seccomp_filters:")).unwrap();
    let mine: u32 = mine.trim().parse().unwrap();
    assert_eq!(status(&keeper, "Seccomp_filters").parse::<u32>().unwrap(), mine + 3);
    assert_eq!(status(&keeper, "CapEff"), "0000000000000000");
    assert_eq!(status(&keeper, "NoNewPrivs"), "1");
}

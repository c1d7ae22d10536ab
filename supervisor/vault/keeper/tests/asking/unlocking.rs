//! What a keeper keeps and loses when the vault is locked, or gets another passphrase, while its
//! container runs.

use std::fs;

use vault_grant::{Answer, Question};
use vault_store::database::RekeyError;

use crate::house::{House, Keeper, secret};

fn serves(house: &House, keeper: &Keeper) -> bool {
    let question = Question::Grant { token: secret(&house.own[0]) };
    matches!(keeper.ask_as_broker(question), Answer::Grant(_))
}

#[test]
fn the_passphrase_is_asked_for_once_and_however_much_is_asked_afterwards() {
    let house = House::new();
    let keeper = house.keeper();
    for _ in 0..50 {
        assert!(serves(&house, &keeper));
    }
    assert_eq!(fs::read_to_string(house.path("runs")).unwrap(), "run\n");
    assert_eq!(keeper.log().matches("unlocked by").count(), 1, "{}", keeper.log());
}

#[test]
fn a_running_keeper_keeps_its_access_when_the_vault_is_locked() {
    let house = House::new();
    let keeper = house.keeper();
    assert!(serves(&house, &keeper));
    fs::remove_file(house.path("passphrase")).unwrap();
    assert!(serves(&house, &keeper));
    assert!(!keeper.is_locked());
}

#[test]
fn a_keeper_that_starts_with_a_locked_vault_says_so() {
    let house = House::new();
    fs::remove_file(house.path("passphrase")).unwrap();
    assert!(house.keeper().is_locked());
}

#[test]
fn the_passphrase_is_not_changed_under_a_running_keeper() {
    let house = House::new();
    let keeper = house.keeper();
    assert!(serves(&house, &keeper));
    let refused = house.change_passphrase("another one").unwrap_err();
    assert!(matches!(refused, RekeyError::Held { .. }), "{refused}");
    assert!(serves(&house, &keeper));
}

#[test]
fn after_a_changed_passphrase_only_the_new_one_serves() {
    let house = House::new();
    house.change_passphrase("another one").unwrap();
    assert!(house.keeper().is_locked());
    fs::write(house.path("passphrase"), "another one").unwrap();
    assert!(serves(&house, &house.keeper()));
}

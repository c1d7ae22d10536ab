//! Somebody else changes the vault: who has to know hears it soon, and nobody else is woken.

use std::time::{Duration, Instant};

use vault_grant::{Answer, Line, LineError, Notice, Reply, Request};

use crate::house::{House, Keeper, grant, identities, receive};

/// Reads until the keeper says that the vault changed.
fn hear_of_change(line: &Line) {
    while !matches!(receive(line), Reply::Notice(Notice::Changed)) {}
}

fn assert_a_revoked_token_stops_in_time(house: &House, keeper: &Keeper) {
    let token = &house.own[1];
    assert!(matches!(keeper.ask_as_signer(identities(token)), Answer::Identities(_)));
    let mut vault = house.vault();
    assert!(vault.revoke_token(token).unwrap());
    let revoked = Instant::now();
    // The connection stays open: nothing but the commit itself may be what the keeper notices.
    while matches!(keeper.ask_as_signer(identities(token)), Answer::Identities(_)) {
        assert!(revoked.elapsed() < Duration::from_millis(100), "{:?}", revoked.elapsed());
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(vault);
}

#[test]
fn a_revoked_token_stops_within_a_tenth_of_a_second() {
    let house = House::new();
    assert_a_revoked_token_stops_in_time(&house, &house.keeper());
}

#[test]
fn a_revoked_token_stops_in_time_where_no_inotify_instance_is_left() {
    let house = House::new();
    let keeper = house.keeper_without_inotify();
    assert_a_revoked_token_stops_in_time(&house, &keeper);
    assert!(keeper.log().contains("fs.inotify.max_user_instances"), "{}", keeper.log());
}

#[test]
fn an_idle_keeper_has_no_inotify_instance_and_nobody_remembers_its_answers() {
    let house = House::new();
    let keeper = house.keeper();
    assert!(matches!(receive(&keeper.signer), Reply::Notice(Notice::Serving)));
    assert_eq!(inotify_instances(&keeper), 0);
    assert!(matches!(keeper.ask_as_signer(identities(&house.own[1])), Answer::Identities(_)));
    assert_eq!(inotify_instances(&keeper), 1);
    let asked = Instant::now();
    while !matches!(keeper.signer.receive::<Reply>(), Ok(Reply::Notice(Notice::Changed))) {
        assert!(asked.elapsed() < Duration::from_secs(15));
        std::thread::sleep(Duration::from_millis(50));
    }
    while inotify_instances(&keeper) > 0 {
        assert!(asked.elapsed() < Duration::from_secs(15));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn inotify_instances(keeper: &Keeper) -> usize {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", keeper.process.id())).unwrap();
    let targets = descriptors.filter_map(|fd| std::fs::read_link(fd.unwrap().path()).ok());
    targets.filter(|target| target.as_os_str() == "anon_inode:inotify").count()
}

#[test]
fn one_with_nothing_to_forget_is_not_woken() {
    let house = House::new();
    let keeper = house.keeper();
    assert!(matches!(receive(&keeper.broker), Reply::Notice(Notice::Serving)));
    assert!(matches!(keeper.ask_as_signer(identities(&house.own[1])), Answer::Identities(_)));
    house.vault().revoke_token(&house.other[0]).unwrap();
    hear_of_change(&keeper.signer);
    assert!(matches!(keeper.broker.receive::<Reply>(), Err(LineError::WouldBlock)));
}

#[test]
fn one_whose_line_was_full_hears_of_a_change_when_it_reads() {
    let house = House::new();
    let keeper = house.keeper();
    // Until no answer comes on top of those that lie there unread.
    let ask = |id| keeper.broker.send(&Request { id, question: grant(&house.own[0]) });
    let mut asked = 0;
    while !keeper.log().contains("answer the broker") {
        match ask(asked + 1) {
            Ok(()) => asked += 1,
            Err(LineError::WouldBlock) => std::thread::sleep(Duration::from_millis(1)),
            Err(why) => panic!("{why}"),
        }
    }
    assert!(matches!(keeper.ask_as_signer(identities(&house.own[1])), Answer::Identities(_)));
    house.vault().revoke_token(&house.other[0]).unwrap();
    hear_of_change(&keeper.signer);
    hear_of_change(&keeper.broker);
}

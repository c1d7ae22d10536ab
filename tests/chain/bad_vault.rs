//! A vault that cannot be opened: the container starts, broker and signer say no, the log says why,
//! and an unlock later on needs no restart.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use terok_shared::service::Service;
use terok_tests::agent::Agent;
use terok_tests::container::Container;
use terok_tests::eventually::eventually;
use terok_tests::house::House;
use terok_tests::upstream::Upstream;
use terok_tests::{fixtures, http};

/// What the broker answers to a good token.
fn asked(web: &Container<'_>) -> http::Response {
    http::get_with(&web.endpoint(Service::Broker), "/", &fixtures::token("fake")).unwrap()
}

fn keys(web: &Container<'_>) -> std::io::Result<u32> {
    Agent::connect(&web.endpoint(Service::Signer), &fixtures::token("ssh"))?.identities()
}

/// The container runs, both services refuse, and the log has these words.
#[track_caller]
fn locked(web: &Container<'_>, words: &[&str]) {
    web.start();
    let line = web.logged("ERROR keeper");
    for word in words {
        assert!(web.log().contains(word), "{word:?} is not in {line}");
    }
    let answer = asked(web);
    assert_eq!((answer.status, answer.body.as_str()), (503, "Vault is locked"));
    assert!(keys(web).is_err());
    assert!(!web.log().contains(fixtures::passphrase().expose()));
}

#[test]
fn a_wrong_passphrase_is_refused_until_the_vault_is_unlocked() {
    let house = House::new();
    let upstream = Upstream::start();
    house.write_routes(&upstream.routes());
    fs::write(house.passphrase_file(), "wrong-horse\n").unwrap();
    let web = house.container(&house.sidecar("web"));
    locked(&web, &["wrong passphrase", "passphrase command", "hint: run terokctl vault unlock"]);
    assert!(!web.log().contains("wrong-horse"), "{}", web.log());
    house.unlock();
    eventually("the unlocked vault answers", || asked(&web).status == 200);
    assert_eq!(keys(&web).unwrap(), 2);
    assert!(!web.log().contains("keeper starts again"), "{}", web.log());
}

#[test]
fn no_passphrase_at_all_is_refused_until_the_vault_is_unlocked() {
    let house = House::new();
    let web = house.container(&house.sidecar("web").without("credentials_passphrase_command"));
    locked(&web, &[]);
    house.unlock();
    eventually("the unlocked vault answers", || keys(&web).is_ok_and(|keys| keys == 2));
}

#[test]
fn a_failing_passphrase_command_is_said_without_its_text() {
    let house = House::new();
    let command = "sh -c 'echo TOP-SECRET-TEXT >&2; exit 3'";
    let web =
        house.container(&house.sidecar("web").with("credentials_passphrase_command", command));
    locked(&web, &["passphrase command"]);
    assert!(!web.log().contains("TOP-SECRET-TEXT"), "{}", web.log());
}

#[test]
fn a_missing_database_is_not_created() {
    let house = House::new();
    fs::remove_file(house.db_path()).unwrap();
    let web = house.container(&house.sidecar("web"));
    locked(&web, &["no such file", "hint: run terokctl vault init"]);
    assert!(!house.db_path().exists());
}

#[test]
fn a_newer_database_is_left_alone() {
    let house = House::new();
    house.put_vault("newer.db");
    let before = fs::read(house.db_path()).unwrap();
    let web = house.container(&house.sidecar("web"));
    locked(&web, &["schema version 5 is newer", "hint:"]);
    assert_eq!(fs::read(house.db_path()).unwrap(), before);
}

#[test]
fn an_older_database_is_migrated_and_served() {
    let house = House::new();
    house.put_vault("v2.db");
    let web = house.container(&house.sidecar("web"));
    web.start_serving(&[Service::Keeper]);
}

#[test]
fn garbage_in_place_of_the_database_is_named() {
    let house = House::new();
    fs::write(house.db_path(), vec![7; 8192]).unwrap();
    let web = house.container(&house.sidecar("web"));
    locked(&web, &["credentials.db", "wrong passphrase, or the file is damaged"]);
}

#[test]
fn an_unreadable_route_table_costs_the_broker_alone() {
    let house = House::new();
    fs::write(house.routes_path(), r#"{"fake": {"upstream": 7}}"#).unwrap();
    let web = house.container(&house.sidecar("web"));
    web.start();
    web.logged("ERROR broker");
    assert_eq!(keys(&web).unwrap(), 2);
}

#[test]
fn a_vault_directory_that_is_missing_is_said_in_the_diary() {
    let house = House::new();
    fs::set_permissions(house.passphrase_file(), fs::Permissions::from_mode(0o600)).unwrap();
    let elsewhere = house.path().join("nowhere/credentials.db");
    let web = house.container(&house.sidecar("web").with("db_path", elsewhere.to_str().unwrap()));
    locked(&web, &["no such file"]);
    assert!(house.diary().contains("open audit file"), "{}", house.diary());
    assert!(!house.path().join("nowhere").exists());
}

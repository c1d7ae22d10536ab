//! `terokctl vault …`.

use std::fs;

use serde_json::Value;
use vault_store::database::is_derived;

use crate::machine::{CREDENTIAL, Machine, PASSPHRASE, files_below};

#[test]
fn a_new_vault_is_unlocked_for_the_session_and_private() {
    let machine = Machine::new();
    assert!(machine.ok(&["vault", "status"]).contains("unlocked by the"));
    assert_eq!(machine.mode("vault/credentials.db"), 0o600);
    assert_eq!(machine.mode("vault"), 0o700);
    machine.vault();
}

#[test]
fn an_existing_vault_is_never_touched() {
    let machine = Machine::new();
    let before = fs::read(machine.path("vault/credentials.db")).unwrap();
    machine.fails(&["vault", "init", "--generate"], "there is one already", "");
    assert_eq!(fs::read(machine.path("vault/credentials.db")).unwrap(), before);
}

#[test]
fn a_generated_passphrase_is_shown_once_or_written_to_a_file() {
    let machine = Machine::bare();
    let shown = machine.ok(&["vault", "init", "--generate", "--no-remember"]);
    let passphrase = shown.lines().last().unwrap().trim();
    assert_eq!(passphrase.len(), 39, "{shown}");
    machine.fails(&["vault", "list"], "no passphrase", "terokctl vault unlock");
    machine.with_input(&["vault", "unlock", "--passphrase-file", "-"], passphrase).expect_success();
    machine.ok(&["vault", "list"]);

    let other = Machine::bare();
    let shown =
        other.ok(&["vault", "init", "--generate", "--passphrase-file", "kept", "--no-remember"]);
    assert!(!shown.contains(other.read("kept").trim()));
    assert_eq!(other.mode("kept"), 0o600);
    other.ok(&["vault", "list", "--passphrase-file", "kept"]);
    fs::remove_file(other.path("vault/credentials.db")).unwrap();
    other.fails(
        &["vault", "init", "--generate", "--passphrase-file", "kept"],
        "no vault was made",
        "does not exist",
    );
    assert!(!other.path("vault/credentials.db").exists());
}

#[test]
fn a_wrong_passphrase_is_refused_and_not_kept() {
    let machine = Machine::new();
    machine.ok(&["vault", "lock"]);
    let said = machine.with_input(&["vault", "unlock"], "wrong horse\n");
    assert_eq!(said.status, 1);
    assert!(said.err.contains("wrong passphrase") && !said.everything().contains("horse"));
    machine.fails(&["vault", "list"], "no passphrase", "terokctl vault unlock");
    machine.with_input(&["vault", "unlock"], PASSPHRASE).expect_success();
    machine.ok(&["vault", "list"]);
}

#[test]
fn unlocking_keeps_the_derived_key_and_the_passphrase_only_when_asked_to() {
    let machine = Machine::new();
    let cached = || {
        let cache = machine.path("run/terok/vault-session");
        let [(_, text)] = files_below(&cache).try_into().unwrap();
        text
    };
    // `vault init` remembers in the same way.
    assert!(is_derived(&cached()), "not a key");
    machine.ok(&["vault", "list"]);
    machine.with_input(&["vault", "unlock", "--keep-passphrase"], PASSPHRASE).expect_success();
    assert_eq!(cached(), PASSPHRASE);
    machine.with_input(&["vault", "unlock"], PASSPHRASE).expect_success();
    assert!(is_derived(&cached()), "not a key");
    machine.ok(&["vault", "list"]);
    // What was kept opens the vault, and so may be given as its passphrase.
    machine.with_input(&["vault", "unlock"], &cached()).expect_success();
}

#[test]
fn locking_forgets_the_passphrase() {
    let machine = Machine::new();
    machine.ok(&["vault", "lock"]);
    machine.ok(&["vault", "lock"]);
    assert!(machine.ok(&["vault", "status"]).contains("locked: "));
    machine.fails(&["vault", "list"], "no passphrase", "terokctl vault unlock");
}

#[test]
fn a_passphrase_command_stands_in_for_the_session() {
    let machine = Machine::new();
    machine.ok(&["vault", "lock"]);
    let command = format!("cat '{}'", machine.text("passphrase"));
    machine.ok(&["vault", "list", "--passphrase-command", &command]);
    let mut by_variable = machine.terokctl(&["vault", "list"]);
    by_variable.env("TEROK_VAULT_PASSPHRASE_COMMAND", &command);
    assert!(by_variable.output().unwrap().status.success());
    machine.fails(
        &["vault", "list", "--passphrase-command", "false"],
        "passphrase command: failed",
        "by hand",
    );
}

#[test]
fn without_a_vault_every_command_says_how_to_make_one() {
    let machine = Machine::bare();
    for words in [
        &["vault", "list"][..],
        &["vault", "unlock"],
        &["ssh", "list"],
        &["vault", "token", "list"],
    ] {
        machine.fails(words, "no such file", "terokctl vault init");
    }
    assert!(machine.ok(&["vault", "status"]).contains("not made yet"));
}

#[test]
fn a_secret_comes_from_every_source_but_the_command_line() {
    let machine = Machine::new();
    machine.with_input(&["vault", "add", "github"], " from-stdin \n").expect_success();
    machine.write("key", "from-file\n");
    machine.ok(&["vault", "add", "openai", "--from-file", "key"]);
    let mut by_variable = machine.terokctl(&["vault", "add", "mistral", "--env", "KEY"]);
    assert!(by_variable.env("KEY", "from-env").output().unwrap().status.success());
    machine.write("login", r#"{"access_token":"from-json","refresh_token":"r","x":{"y":1}}"#);
    machine.ok(&["vault", "add", "anthropic", "--json-file", "login", "--set", "work"]);

    let vault = machine.vault();
    for (set, provider, secret) in [
        ("default", "github", "from-stdin"),
        ("default", "openai", "from-file"),
        ("default", "mistral", "from-env"),
        ("work", "anthropic", "from-json"),
    ] {
        let stored = vault.credential(set, provider).unwrap().unwrap();
        assert_eq!(stored.secret().unwrap().expose(), secret);
    }
    let usage = machine.say(&["vault", "add", "github", "ghp_onTheCommandLine"]);
    assert_eq!(usage.status, 2);
}

#[test]
fn what_is_no_credential_is_refused_and_not_quoted() {
    let machine = Machine::new();
    for (words, input) in [
        (&["vault", "add", "github"][..], ""),
        (&["vault", "add", "github"], "two\nlines-of-hunter2\n"),
        (&["vault", "add", "github"], "hunter2\u{1b}[2J"),
        (&["vault", "add", "github", "--json-file", "-"], r#"{"key": hunter2}"#),
        (&["vault", "add", "github", "--json-file", "-"], r#"{"type":"oauth","key":"hunter2"}"#),
        (&["vault", "add", "github", "--env", "UNSET"], ""),
    ] {
        let said = machine.with_input(words, input);
        assert_eq!(said.status, 1, "{input}: {said:?}");
        assert!(!said.everything().contains("hunter2"), "{said:?}");
    }
    assert!(machine.vault().credentials().unwrap().is_empty());
}

#[test]
fn no_output_and_no_file_outside_the_vault_has_the_secret() {
    let machine = Machine::furnished();
    let mut all = String::new();
    for words in [
        &["vault", "status"][..],
        &["vault", "status", "--json"],
        &["vault", "list"],
        &["vault", "list", "--json"],
        &["vault", "token", "mint", "github"],
        &["vault", "token", "list"],
        &["ssh", "list", "--json"],
        &["prepare", "web", "--provider", "github", "--scope", "app", "--ssh", "--json"],
    ] {
        let said = machine.say(words).expect_success();
        all.push_str(&said.everything());
    }
    assert!(!all.contains(CREDENTIAL) && !all.contains(PASSPHRASE), "{all}");
    for (path, text) in files_below(&machine.path("")) {
        let is_the_operators = path == machine.path("passphrase");
        assert!(!text.contains(CREDENTIAL), "{}", path.display());
        assert!(is_the_operators || !text.contains(PASSPHRASE), "{}", path.display());
    }
}

#[test]
fn the_list_tells_kind_expiry_and_route() {
    let machine = Machine::furnished();
    machine.write("login", r#"{"type":"oauth","access_token":"a","expires_at":1700000000}"#);
    machine.ok(&["vault", "add", "anthropic", "--json-file", "login"]);
    let text = machine.ok(&["vault", "list"]);
    assert!(text.contains("2023-11-14T22:13:20Z (expired)"), "{text}");
    let list: Value = serde_json::from_str(&machine.ok(&["vault", "list", "--json"])).unwrap();
    assert_eq!(list[1]["provider"], "github");
    assert_eq!(list[1]["type"], "pat");
    assert_eq!((&list[0]["expires_at"], &list[0]["routed"]), (&1_700_000_000.into(), &true.into()));
}

#[test]
fn an_unknown_provider_without_upstream_is_refused_before_anything_is_stored() {
    let machine = Machine::new();
    machine.fails(
        &["vault", "add", "mine", "--from-file", "passphrase"],
        "not known",
        "--upstream",
    );
    assert!(machine.vault().credentials().unwrap().is_empty());
}

#[test]
fn routes_are_written_beside_the_vault_and_kept_unless_told() {
    let machine = Machine::new();
    let add = |more: &[&str]| {
        let words = [&["vault", "add", "mine", "--from-file", "passphrase"], more].concat();
        let said = machine.say(&words);
        println!("{}", said.everything());
        said.status
    };
    machine.write("vault/routes.json", r#"{"other":{"upstream":"http://o.test","x-note":[1]}}"#);
    assert_eq!(add(&["--upstream", "https://one.test", "--auth-header", "X-Api-Key"]), 0);
    assert_eq!(add(&[]), 0);
    let routes = || serde_json::from_str::<Value>(&machine.read("vault/routes.json")).unwrap();
    assert_eq!(routes()["mine"]["upstream"], "https://one.test");
    assert_eq!(routes()["mine"]["auth_prefix"], "");
    assert_eq!(add(&["--upstream", "https://two.test"]), 0);
    assert_eq!(routes()["mine"]["upstream"], "https://two.test");
    assert_eq!(routes()["mine"]["auth_header"], "X-Api-Key");
    assert_eq!(routes()["other"]["x-note"][0], 1);
    assert_eq!(machine.mode("vault/routes.json"), 0o600);
    assert_eq!(add(&["--upstream", "https://user@bad.test"]), 1);
    assert_eq!(routes()["mine"]["upstream"], "https://two.test");
}

#[test]
fn a_broken_route_table_is_left_alone_and_nothing_is_stored() {
    let machine = Machine::new();
    machine.write("vault/routes.json", r#"{"other": 7}"#);
    machine.fails(
        &["vault", "add", "github", "--from-file", "passphrase"],
        "route `other`",
        "nothing was changed",
    );
    assert_eq!(machine.read("vault/routes.json"), r#"{"other": 7}"#);
    assert!(machine.vault().credentials().unwrap().is_empty());
}

#[test]
fn a_removed_credential_is_gone_and_removing_it_again_fails() {
    let machine = Machine::furnished();
    machine.ok(&["vault", "remove", "github"]);
    assert!(machine.vault().credentials().unwrap().is_empty());
    machine.fails(&["vault", "remove", "github"], "there is none", "vault list");
}

#[test]
fn a_minted_token_is_printed_once_and_revoked_by_its_id() {
    let machine = Machine::furnished();
    let token = machine.ok(&["vault", "token", "mint", "github", "--subject", "web"]);
    assert!(token.starts_with("terok-p-") && token.trim().len() == 40, "{token}");
    assert!(machine.vault().token(token.trim()).unwrap().is_some());
    let listed = machine.ok(&["vault", "token", "list"]);
    assert!(!listed.contains(token.trim()) && listed.contains("web"), "{listed}");
    let id = listed.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    machine.ok(&["vault", "token", "revoke", id]);
    assert!(machine.vault().token(token.trim()).unwrap().is_none());
    machine.fails(&["vault", "token", "revoke", id], "there is none", "token list");
}

#[test]
fn tokens_are_revoked_by_subject_in_one_scope_or_in_all() {
    let machine = Machine::furnished();
    for scope in ["a", "b"] {
        machine.ok(&["vault", "token", "mint", "github", "--scope", scope, "--subject", "web"]);
    }
    machine.ok(&["vault", "token", "mint", "github", "--scope", "a"]);
    machine.ok(&["vault", "token", "revoke", "--subject", "web", "--scope", "a"]);
    assert_eq!(machine.tokens().len(), 2);
    machine.ok(&["vault", "token", "revoke", "--subject", "web"]);
    assert_eq!(machine.tokens().len(), 1);
    assert_eq!(machine.say(&["vault", "token", "revoke"]).status, 2);
}

#[test]
fn a_token_for_nothing_is_refused() {
    let machine = Machine::new();
    machine.fails(&["vault", "token", "mint", "github"], "no credential", "vault add github");
    machine.fails(&["vault", "token", "mint", "ssh", "--scope", "x"], "no key", "ssh generate");
    assert!(machine.tokens().is_empty());
}

#[test]
fn standard_input_is_not_read_for_two_things() {
    let machine = Machine::new();
    let words = ["vault", "add", "github", "--passphrase-file", "-", "--from-file", "-"];
    let said = machine.with_input(&words, PASSPHRASE);
    assert!(said.status == 1 && said.err.contains("at once"), "{said:?}");
}

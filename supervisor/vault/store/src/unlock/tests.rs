//! The walk through the tiers, with the real ones where they can be set up in a directory.

use super::*;

struct Setup {
    home: tempfile::TempDir,
    sources: Sources,
}

impl Setup {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let sources = Sources {
            db_path: home.path().join("credentials.db"),
            sealed_file: home.path().join("vault.passphrase.cred"),
            use_keyring: false,
            session_directories: vec![home.path().join("vault-session")],
            passphrase_command: None,
        };
        Self { home, sources }
    }

    fn remember_in_file(&self, text: &str) {
        let directory = &self.sources.session_directories[0];
        session_cache::file::store(directory, &self.sources.db_path, &text.to_owned().into())
            .unwrap();
    }
}

fn command(text: &str) -> Option<Secret<String>> {
    Some(text.to_owned().into())
}

#[test]
fn the_session_file_answers_before_the_command() {
    let mut setup = Setup::new();
    setup.remember_in_file("cached");
    setup.sources.passphrase_command = command("echo typed");
    let unlocked = resolve(&setup.sources).unwrap();
    assert_eq!(
        (unlocked.tier, unlocked.passphrase.expose().as_str()),
        (Tier::SessionFile, "cached")
    );
}

#[test]
fn the_command_is_split_like_a_shell_but_runs_without_one() {
    let mut setup = Setup::new();
    setup.sources.passphrase_command = command(r#"printf '%s|' "a b" c\ d '$HOME' ;"#);
    let unlocked = resolve(&setup.sources).unwrap();
    assert_eq!(unlocked.tier, Tier::Command);
    assert_eq!(unlocked.passphrase.expose(), "a b|c d|$HOME|;|");
}

#[test]
fn a_failing_command_closes_the_chain_without_being_quoted() {
    let mut setup = Setup::new();
    for text in ["false hunter2", "/nonexistent/hunter2", "echo 'hunter2"] {
        setup.sources.passphrase_command = command(text);
        let error = resolve(&setup.sources).unwrap_err();
        assert!(matches!(error, UnlockError::Broken { tier: Tier::Command, .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn a_sealed_file_that_cannot_be_decrypted_closes_the_chain() {
    let setup = Setup::new();
    setup.remember_in_file("cached");
    std::fs::write(&setup.sources.sealed_file, "not sealed by anyone").unwrap();
    let error = resolve(&setup.sources).unwrap_err();
    assert!(matches!(error, UnlockError::Broken { tier: Tier::SealedFile, .. }), "{error}");
}

#[test]
fn without_an_answer_every_tier_says_why() {
    let mut setup = Setup::new();
    setup.sources.passphrase_command = command("  ");
    let error = resolve(&setup.sources).unwrap_err();
    let text = error.to_string();
    for word in [
        "sealed file: no ",
        "; os keyring: not allowed",
        "; kernel keyring: ",
        "; session file: ",
        "; passphrase command: not configured",
        "\nhint: ",
    ] {
        assert!(text.contains(word), "{word:?} is missing in {text}");
    }
    assert!(text.contains(&setup.home.path().display().to_string()));
}

#[test]
fn a_broken_tier_is_told_with_all_that_were_asked_before_it() {
    let mut setup = Setup::new();
    setup.sources.passphrase_command = command("false");
    let text = resolve(&setup.sources).unwrap_err().to_string();
    for word in [
        "sealed file: no ",
        "; os keyring: not allowed",
        "; kernel keyring: ",
        "; session file: ",
        "; passphrase command: failed with exit status: 1\nhint: ",
    ] {
        assert!(text.contains(word), "{word:?} is missing in {text}");
    }
}

#[test]
fn a_walk_tells_what_every_tier_answered_and_which_were_not_asked() {
    let mut setup = Setup::new();
    setup.remember_in_file("cached");
    setup.sources.passphrase_command = command("echo typed");
    let walk = walk(&setup.sources);
    let tiers: Vec<Tier> = walk.tiers.iter().map(|(tier, _)| *tier).collect();
    assert_eq!(
        tiers,
        [Tier::SealedFile, Tier::OsKeyring, Tier::KernelKeyring, Tier::SessionFile, Tier::Command]
    );
    let outcomes: Vec<&Outcome> = walk.tiers.iter().map(|(_, outcome)| outcome).collect();
    assert!(matches!(outcomes[0], Outcome::Nothing(_)));
    assert_eq!((outcomes[3], outcomes[4]), (&Outcome::Answered, &Outcome::NotAsked));
    assert_eq!(walk.unlocked.unwrap().tier, Tier::SessionFile);
}

#[test]
fn what_was_remembered_unlocks_and_what_was_forgotten_does_not() {
    let setup = Setup::new();
    let directory = &setup.sources.session_directories[0];
    let backings =
        session_cache::remember(directory, &setup.sources.db_path, &"pass".to_owned().into())
            .unwrap();
    assert!(backings.session_file.is_ok());
    assert_eq!(resolve(&setup.sources).unwrap().passphrase.expose(), "pass");
    session_cache::forget(directory, &setup.sources.db_path).unwrap();
    assert!(matches!(resolve(&setup.sources), Err(UnlockError::NoAnswer { .. })));
}

#[test]
fn an_empty_passphrase_is_never_cached() {
    let setup = Setup::new();
    let directory = &setup.sources.session_directories[0];
    let refused = session_cache::remember(directory, &setup.sources.db_path, &String::new().into());
    assert!(matches!(refused, Err(session_cache::SessionCacheError::Length { length: 0 })));
}

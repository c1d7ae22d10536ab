//! Signed messages: `ssh-keygen -Y`, and git commits judged by `git verify-commit`.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use terok_tests::house::House;
use terok_tests::{fixtures, openssh};

use crate::desk::{Desk, fingerprint, rule};

/// A repository whose commits are signed by the agent's half of `key`.
struct Repository<'d> {
    directory: tempfile::TempDir,
    agent: &'d Path,
    key: &'d str,
}

impl<'d> Repository<'d> {
    fn new(agent: &'d Path, key: &'d str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("allowed"), format!("me@example.org {key}\n")).unwrap();
        let repository = Self { directory, agent, key };
        assert!(repository.git(&["init", "-q"]).status.success());
        repository
    }

    fn git(&self, words: &[&str]) -> Output {
        let allowed = self.directory.path().join("allowed");
        let settings = [
            "gpg.format=ssh".to_owned(),
            format!("user.signingkey=key::{}", self.key),
            format!("gpg.ssh.allowedSignersFile={}", allowed.display()),
            "user.name=me".to_owned(),
            "user.email=me@example.org".to_owned(),
        ];
        let mut command = Command::new("git");
        for setting in &settings {
            command.args(["-c", setting]);
        }
        command
            .args(words)
            .current_dir(self.directory.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HOME", self.directory.path())
            .env("SSH_AUTH_SOCK", self.agent);
        command.output().unwrap()
    }

    fn commit(&self) -> Output {
        self.git(&["commit", "-q", "-S", "--allow-empty", "-m", "signed"])
    }
}

#[test]
fn commits_signed_by_the_vaults_keys_are_verified_by_git() {
    let house = House::new();
    let desk = Desk::open(&house);
    for key in fixtures::ssh_public_keys() {
        let repository = Repository::new(&desk.agent, &key);
        let committed = repository.commit();
        assert!(committed.status.success(), "{committed:?}");
        let verified = repository.git(&["verify-commit", "HEAD"]);
        assert!(verified.status.success(), "{verified:?}");
        let line = desk.audited(|line| line["key"] == fingerprint(&key));
        assert_eq!((&line["kind"], &line["namespace"]), (&"sshsig".into(), &"git".into()));
        assert_eq!((&line["outcome"], &line["scope"]), (&"ok".into(), &"proj1".into()));
    }
}

#[test]
fn a_key_for_one_namespace_signs_no_other_message() {
    let house = House::new();
    let desk = Desk::open(&house);
    let key = &fixtures::ssh_public_keys()[0];
    rule(&house, key, &["namespace", "git"]);
    openssh::sign(&desk.agent, house.path(), key).unwrap_err();
    let line = desk.outcome("rule_namespace");
    assert_eq!((&line["namespace"], &line["subject"]), (&"file".into(), &"bench".into()));
    desk.container.logged("the key's rules do not allow namespace \"file\"");
    let repository = Repository::new(&desk.agent, key);
    assert!(repository.commit().status.success());
    // And the other key is as free as before.
    openssh::sign(&desk.agent, house.path(), &fixtures::ssh_public_keys()[1]).unwrap();
}

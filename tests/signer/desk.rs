//! A served container, the plain agent socket that a bridge in its image offers, and what the
//! audit says afterwards.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use sha2::{Digest, Sha256};
use terok_shared::service::Service;
use terok_tests::agent::Agent;
use terok_tests::container::Container;
use terok_tests::eventually::found;
use terok_tests::house::House;
use terok_tests::{bridge, fixtures};

pub(crate) struct Desk<'h> {
    pub(crate) house: &'h House,
    pub(crate) container: Container<'h>,
    /// Where stock clients look.
    pub(crate) agent: PathBuf,
}

impl<'h> Desk<'h> {
    pub(crate) fn open(house: &'h House) -> Self {
        let container = house.container(&house.sidecar("web"));
        container.start_serving(&[Service::Keeper, Service::Signer]);
        let agent = house.path().join("agent.sock");
        bridge::agent(&agent, container.endpoint(Service::Signer), &fixtures::token("ssh"));
        Self { house, container, agent }
    }

    /// A client that speaks bytes.
    pub(crate) fn client(&self) -> Agent {
        Agent::connect(&self.container.endpoint(Service::Signer), &fixtures::token("ssh")).unwrap()
    }

    /// The first line of the audit for which `is_it` holds; waits for it.
    #[track_caller]
    pub(crate) fn audited(&self, is_it: impl Fn(&Value) -> bool) -> Value {
        found(&format!("a line of the audit: {:#?}", self.house.audit()), || {
            self.house.audit().into_iter().find(&is_it)
        })
    }

    /// The first line with this outcome.
    #[track_caller]
    pub(crate) fn outcome(&self, outcome: &str) -> Value {
        self.audited(|line| line["outcome"] == outcome)
    }
}

/// `SHA256:…` of a line of a public key file.
pub(crate) fn fingerprint(public_line: &str) -> String {
    use base64::Engine;
    let digest = Sha256::digest(blob(public_line));
    format!("SHA256:{}", base64::prelude::BASE64_STANDARD_NO_PAD.encode(digest))
}

/// The public blob in a line of a public key file.
pub(crate) fn blob(public_line: &str) -> Vec<u8> {
    use base64::Engine;
    let field = public_line.split(' ').nth(1).unwrap();
    base64::prelude::BASE64_STANDARD.decode(field).unwrap()
}

/// Stores a rule for a key of the vault, as an operator would while containers run.
pub(crate) fn rule(house: &House, public_line: &str, words: &[&str]) {
    let mut command = Command::new(example());
    let mut child = command
        .arg(house.db_path())
        .arg(fingerprint(public_line))
        .args(words)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let passphrase = fixtures::passphrase();
    child.stdin.take().unwrap().write_all(passphrase.expose().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Cargo builds examples beside the directory of test programs.
fn example() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let built = here.parent().and_then(Path::parent).unwrap().join("examples/rule");
    assert!(built.exists(), "{} is missing: build with --all-targets", built.display());
    built
}

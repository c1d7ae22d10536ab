//! A host that plays github.com for the containers of a session: a real sshd, which lets in who has
//! the session's key, greets whoever wants a shell and serves repositories.
//!
//! Containers find it by files that podman mounts into each of them: an ssh configuration with its
//! address, and its host key under the name that people type.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use terok_tests::mirror::git_ok;
use terok_tests::sshd::{self, Sshd};

use crate::session::Session;

/// What marks the documents' blocks that need it.
pub(crate) const ATTRIBUTE: &str = "github";

/// As GitHub answers: a shell is refused, with a greeting. What was asked for is written down.
const COMMAND: &str = r#"#!/bin/sh
echo "${SSH_ORIGINAL_COMMAND:-a shell}" >>asked
case $SSH_ORIGINAL_COMMAND in
    git-*) exec git-shell -c "$SSH_ORIGINAL_COMMAND" ;;
    *) echo "Hi me! You've successfully authenticated, but GitHub does not provide shell access."
       exit 1 ;;
esac
"#;

/// How a script that goes there ends: GitHub's greeting is a refusal.
pub(crate) fn status_after(script: &str) -> i32 {
    i32::from(script.contains("ssh -T git@github.com"))
}

pub(crate) struct Github {
    home: TempDir,
    _sshd: Sshd,
}

impl Github {
    /// Lets in who has a key of scope `web`; `None`, with a word about it, where no sshd is
    /// installed.
    pub(crate) fn start(session: &Session<'_>) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        fs::write(path("command"), COMMAND).unwrap();
        fs::set_permissions(path("command"), fs::Permissions::from_mode(0o755)).unwrap();
        git_ok(home.path(), &["init", "-q", "-b", "main", "tree"]);
        git_ok(&path("tree"), &["commit", "-q", "--allow-empty", "-m", "first"]);
        git_ok(home.path(), &["clone", "-q", "--bare", "tree", "me/web.git"]);

        let key = session.ok("terokctl ssh pub --scope web").trim().to_owned();
        let sshd = sshd::start_of_git(home.path(), &path("command"), &[key])?;
        // 10.0.2.2 is this machine, seen from slirp4netns(1).
        let way = format!(
            "Host github.com\nHostName 10.0.2.2\nPort {}\nHostKeyAlias github.com\n",
            sshd.port()
        );
        fs::write(path("ssh_config"), way).unwrap();
        fs::write(path("known"), sshd.known_host_as("github.com") + "\n").unwrap();
        let volume = |name, to| format!("\"{}:/etc/ssh/{to}:ro\"", path(name).display());
        let volumes = [volume("ssh_config", "ssh_config"), volume("known", "ssh_known_hosts")];
        let conf = fs::read_to_string(session.containers_conf()).unwrap();
        let conf = conf
            .replace(
                "[containers]\n",
                &format!("[containers]\nvolumes = [{}]\n", volumes.join(", ")),
            )
            .replace(
                "[engine]\n",
                "[engine]\nnetwork_cmd_options = [\"allow_host_loopback=true\"]\n",
            );
        fs::write(session.containers_conf(), conf).unwrap();
        Some(Self { home, _sshd: sshd })
    }

    /// What it was asked for, in order; only those it lets in can ask.
    pub(crate) fn asked(&self) -> String {
        fs::read_to_string(self.home.path().join("asked")).unwrap_or_default()
    }
}

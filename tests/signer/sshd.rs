//! The hosts of these tests: each lets in who has the vault's keys.

use terok_tests::fixtures;
pub(crate) use terok_tests::sshd::Sshd;

/// A host with this kind of key; `None`, with a word about it, where no sshd is installed.
pub(crate) fn start(host_key: &str) -> Option<Sshd> {
    terok_tests::sshd::start(host_key, &fixtures::ssh_public_keys())
}

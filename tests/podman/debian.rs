//! What the tutorial's image is made from, on a machine without a network: an image by the name of
//! Debian's, in which curl, git and ssh are there only once their packages were installed.

use std::fmt::Write;

use crate::container;
use crate::operator::Operator;

const NAME: &str = "docker.io/library/debian:12";
const AGENT: &str = "localhost/agent";
const MADE: &str = "terok-debian";

/// Programs of the suite's image by the package that Debian has them in.
const PACKAGES: [(&str, &[&str]); 3] = [
    ("curl", &["curl"]),
    ("git", &["git"]),
    ("openssh-client", &["ssh", "ssh-add", "ssh-keygen", "ssh-keyscan"]),
];

/// Knows two commands; a package it does not have is an error, as with the real one.
const APT_GET: &str = r#"#!/bin/sh -e
[ "$*" != update ] || exit 0
[ "$1 $2" = 'install -y' ] || exit 100
shift 2
for package; do cp "/packages/$package"/* /usr/bin; done
"#;

pub(crate) struct Debian<'o>(&'o Operator);

impl<'o> Debian<'o> {
    /// Where nobody has an image for agents yet.
    pub(crate) fn without_agent(operator: &'o Operator) -> Self {
        let mut script = "set -e\n".to_owned();
        for (package, programs) in PACKAGES {
            writeln!(script, "mkdir -p /packages/{package}").unwrap();
            for program in programs {
                writeln!(script, "mv /usr/bin/{program} /packages/{package}").unwrap();
            }
        }
        write!(script, "cat > /usr/bin/apt-get <<'END'\n{APT_GET}END\nchmod +x /usr/bin/apt-get\n")
            .unwrap();
        let run = ["run", "--name", MADE, "--pull=never", "--network=none", container::IMAGE];
        operator.podman_ok(&[&run[..], &["sh", "-c", &script]].concat());
        let debian = Self(operator);
        operator.podman_ok(&["commit", "--quiet", MADE, NAME]);
        operator.podman_ok(&["rm", MADE]);
        operator.podman_ok(&["untag", container::IMAGE, AGENT]);
        debian
    }
}

impl Drop for Debian<'_> {
    fn drop(&mut self) {
        self.0.podman(&["rm", "--force", "--ignore", MADE]);
        self.0.podman(&["rmi", "--force", AGENT, NAME]);
    }
}

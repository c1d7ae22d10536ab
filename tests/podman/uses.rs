//! What a container does with its services, each use judged on both sides: inside by the stock
//! program's own verdict, outside by the upstream, by the host's ssh-keygen, by the mirror.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use terok_tests::mirror::git_ok;
use terok_tests::openssh;
use terok_tests::upstream::ANSWER;

use crate::container::Container;

/// curl gets upstream's answer; upstream was shown the credential and not the phantom token.
#[track_caller]
pub(crate) fn http(container: &Container<'_>) {
    http_at(container, "http://localhost:9419");
}

/// The same through the broker at this address, which the container's shell expands.
#[track_caller]
pub(crate) fn http_at(container: &Container<'_>, base: &str) {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let path = format!("/v1/{}/{}", container.name(), COUNT.fetch_add(1, Ordering::Relaxed));
    let token = format!("${}", container.token_variable);
    let answer = container.shell_ok(&format!(
        "curl -sS --fail -H \"Authorization: Bearer {token}\" \"{base}{path}\""
    ));
    assert_eq!(answer, ANSWER);
    let seen = container.operator().upstream().seen();
    let request = seen.iter().find(|request| request.contains(&path)).expect("upstream was asked");
    let presented = request
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    let (_, presented) = presented.expect("upstream was shown a credential");
    assert!(presented == format!("Bearer {}", container.credential), "upstream saw another one");
    assert!(!request.contains(&container.shell_ok(&format!("echo {token}"))), "phantom sent on");
}

/// `ssh-add -L` lists exactly these keys, in this order.
#[track_caller]
pub(crate) fn ssh_keys(container: &Container<'_>, expected: &[String]) {
    let listed = container.shell_ok("ssh-add -L");
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
}

/// `ssh-keygen -Y sign` inside makes a signature that the host's `-Y verify` accepts, for that
/// text alone.
#[track_caller]
pub(crate) fn ssh_signature(container: &Container<'_>, public_key: &str) {
    container.give("key.pub", public_key);
    container.shell_ok(
        "printf 'a message' > message; rm -f message.sig; \
         ssh-keygen -q -Y sign -n file -f key.pub message",
    );
    let signature = container.shell_ok("cat message.sig");
    let judge = tempfile::tempdir().unwrap();
    fs::write(judge.path().join("message.sig"), format!("{signature}\n")).unwrap();
    assert!(openssh::verify(judge.path(), public_key, "a message"));
    assert!(!openssh::verify(judge.path(), public_key, "another message"));
}

/// Clones, and pushes one commit with a file of this size; the mirror then has that commit.
#[track_caller]
pub(crate) fn git_push(container: &Container<'_>, megabytes: u32) {
    let tip = container.shell_ok(&format!(
        "set -e; rm -rf work; \
         git clone -q http://$TEROK_GATE_TOKEN@localhost:9418/{}.git work 2>&1; cd work; \
         git checkout -q -B main; head -c {megabytes}000000 /dev/urandom > big; \
         git add big; git commit -qm '{megabytes} megabytes'; \
         git push -q origin main >&2; git rev-parse HEAD",
        container.project
    ));
    let tip = tip.lines().last().expect("rev-parse prints one");
    assert_eq!(git_ok(&container.mirror(), &["rev-parse", "main"]), tip);
}

/// Rewrites the branch that [`git_push`] left; the mirror keeps what it pointed at, where the
/// container cannot see it.
#[track_caller]
pub(crate) fn git_force_push(container: &Container<'_>) {
    let old = git_ok(&container.mirror(), &["rev-parse", "main"]);
    let new = container.shell_ok(
        "cd work; git commit -q --amend -m 'history rewritten'; \
         git push -q --force origin main >&2; git rev-parse HEAD",
    );
    assert_eq!(git_ok(&container.mirror(), &["rev-parse", "main"]), new);
    let backups = git_ok(
        &container.mirror(),
        &["for-each-ref", "--format=%(objectname) %(refname)", "refs/terok/backup/main"],
    );
    let kept = backups.lines().any(|line| line.starts_with(&old) && line.ends_with(&old[..12]));
    assert!(kept, "no backup of {old} in {backups:?}");
    let visible = container.shell_ok("cd work; git ls-remote origin");
    assert!(visible.contains("refs/heads/main") && !visible.contains("terok"), "{visible}");
}

/// All of it, with a push of ordinary size.
#[track_caller]
pub(crate) fn everything(container: &Container<'_>, keys: &[String]) {
    http(container);
    ssh_keys(container, keys);
    keys.iter().for_each(|key| ssh_signature(container, key));
    git_push(container, 3);
    git_force_push(container);
}

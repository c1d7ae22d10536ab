//! No real secret can be found in a container: not in its environment, not in its files, not in
//! the sockets' directory, not in /proc.

use crate::container::Container;
use crate::mode::in_both_modes;
use crate::search;
use crate::uses;

/// Everything a process in the container can read. Of /proc the files that end: others are endless
/// or the machine's memory.
const EVERYTHING: &str = "\
    env; \
    find / -xdev -type f -exec cat {} +; \
    find /run /tmp /dev/shm /etc/hosts /etc/hostname /etc/resolv.conf -type f -exec cat {} +; \
    find / -xdev; find /run/terok; \
    cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline /proc/[0-9]*/maps /proc/[0-9]*/mountinfo \
        /proc/[0-9]*/task/*/comm /proc/[0-9]*/status; \
    cat /proc/cmdline /proc/keys /proc/key-users /proc/mounts /proc/net/*; \
    ls -lR /proc/[0-9]*/fd /proc/[0-9]*/cwd /proc/[0-9]*/root; \
    true";

in_both_modes! {
    fn no_secret_is_in_environment_files_or_proc(operator, mode) {
        let container = Container::launch(operator, "exposed", mode);
        uses::everything(&container, &operator.public_keys());
        assert_eq!(find(&container, operator.secrets()), [""; 0]);
    }
}

/// The search above would not pass by finding nothing: it does find what is there.
#[test]
fn the_search_finds_a_secret_that_a_container_does_have() {
    let Some(operator) = crate::operator::at_work() else { return };
    let container = Container::launch(&operator, "searched", crate::mode::Mode::Socket);
    let phantom = container.shell_ok(&format!("echo ${}", container.token_variable));
    container.shell_ok("echo in a file 7bd0c1e8a95f3642 | base64 > /root/encoded");
    let there = [("phantom", phantom.as_bytes()), ("file", b"e 7bd0c1e8a95f3642")];
    let found = find(&container, there.into_iter());
    assert_eq!(found, ["file in base64", "phantom"]);
}

pub(crate) fn find<'s>(
    container: &Container<'_>,
    secrets: impl Iterator<Item = (&'s str, &'s [u8])>,
) -> Vec<String> {
    let mut reading = container.shell_beside(&format!("exec 2>/dev/null; {EVERYTHING}"));
    let stream = reading.stdout.take().expect("its output is a pipe");
    let found = search::found_in(stream, secrets).unwrap();
    assert!(reading.wait().unwrap().success());
    found
}

//! Unmodified curl, OpenSSH and git in a container use credentials that it does not have.

use crate::container::Container;
use crate::mode::{Mode, in_both_modes};
use crate::operator;
use crate::uses;

in_both_modes! {
    fn curl_gets_the_answer_and_upstream_sees_the_credential(operator, mode) {
        let container = Container::launch(operator, "http", mode);
        uses::http(&container);
    }

    fn ssh_keygen_signs_with_every_key_of_the_scope(operator, mode) {
        let container = Container::launch(operator, "ssh", mode);
        let keys = operator.public_keys();
        for generated in ["ed25519", "rsa"] {
            let is_it = |key: &&String| key.split(' ').nth(2) == Some(generated);
            let key = keys.iter().find(is_it).expect("listed by `ssh pub`");
            assert!(key.starts_with(&format!("ssh-{generated} ")), "{key}");
        }
        uses::ssh_keys(&container, &keys);
        keys.iter().for_each(|key| uses::ssh_signature(&container, key));
    }

    fn git_clones_pushes_and_keeps_what_a_force_push_drops(operator, mode) {
        let container = Container::launch(operator, "git", mode);
        uses::git_push(&container, 3);
        uses::git_force_push(&container);
        uses::git_push(&container, 50);
    }
}

/// The variables alone suffice: no bridge in the image.
#[test]
fn the_base_url_given_to_a_tcp_container_works_as_it_is() {
    let Some(operator) = operator::at_work() else { return };
    let container = Container::launch(&operator, "base-url", Mode::Tcp);
    uses::http_at(&container, "$TEROK_FAKE_BASE_URL");
}

/// curl speaks to unix sockets itself.
#[test]
fn the_socket_given_to_a_container_works_as_it_is() {
    let Some(operator) = operator::at_work() else { return };
    let container = Container::launch(&operator, "bare-socket", Mode::Socket);
    let answer = container
        .shell_ok("curl -sS --fail --unix-socket $TEROK_VAULT_SOCKET http://localhost/-/health");
    assert_eq!(answer, r#"{"status":"ok"}"#);
}

//! Two containers at once: each has its own services, and neither's token works at the other's.

use crate::container::Container;
use crate::mode::{Mode, in_both_modes};
use crate::uses;

in_both_modes! {
    fn the_phantom_token_of_one_container_is_refused_at_the_socket_of_another(operator, mode) {
        let (one, other) =
            (Container::launch(operator, "one", mode), Container::launch(operator, "other", mode));
        assert_ne!(one.tree().parent, other.tree().parent);
        let stolen = one.shell_ok(&format!("echo ${}", one.token_variable));
        let own = format!("${}", other.token_variable);
        for (token, expected) in [(stolen.as_str(), "403"), (own.as_str(), "200")] {
            let code = other.shell_ok(&format!(
                "curl -s -o /dev/null -w '%{{http_code}}' -H \"Authorization: Bearer {token}\" \
                 http://localhost:9419/v1/theft"
            ));
            assert_eq!(code, expected);
        }
    }

    fn one_containers_gate_and_signer_tokens_are_refused_at_anothers(operator, mode) {
        let (one, other) =
            (Container::launch(operator, "one", mode), Container::launch(operator, "other", mode));
        let gate = one.shell_ok("echo $TEROK_GATE_TOKEN");
        let url = format!("http://{gate}@localhost:9418/{}.git", other.project);
        assert!(!other.shell(&format!("git ls-remote {url}")).status.success());

        let signer = one.shell_ok("echo $TEROK_SSH_SIGNER_TOKEN");
        let (address, bridge) = match mode {
            Mode::Socket => ("$TEROK_SSH_SIGNER_SOCKET", "UNIX-CONNECT:"),
            Mode::Tcp => ("$TEROK_SSH_SIGNER_PORT", "TCP:host.containers.internal:"),
        };
        // A request for the list of keys, after the stolen token.
        let answer = other.shell_ok(&format!(
            "{{ printf '\\0\\0\\0\\50{signer}\\0\\0\\0\\1\\13'; sleep 0.5; }} | \
             socat -t 1 - {bridge}{address} | od -An -tx1"
        ));
        // One byte: SSH_AGENT_FAILURE.
        assert_eq!(answer.trim(), "00 00 00 01 05");
        uses::ssh_keys(&other, &operator.public_keys());
    }

    fn one_containers_end_is_not_the_others(operator, mode) {
        let one = Container::launch(operator, "ending", mode);
        let other = Container::launch(operator, "staying", mode);
        let (ending, staying) = (one.tree(), other.tree());
        one.remove();
        one.expect_gone(ending);
        assert!(staying.parent.is_alive());
        uses::http(&other);
    }
}

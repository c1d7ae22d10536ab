//! A container may stop and start again, and goes without a trace; what it was launched with stays
//! until the operator cleans up.

use crate::container::Container;
use crate::mode::in_both_modes;
use crate::uses;

in_both_modes! {
    fn everything_works_again_after_stop_and_start(operator, mode) {
        let container = Container::launch(operator, "cycle", mode);
        let keys = operator.public_keys();
        uses::everything(&container, &keys);
        let first = container.tree();
        container.stop();
        container.expect_gone(first);
        assert!(container.sidecar().exists());

        container.start();
        assert_ne!(container.tree().parent, first.parent);
        container.bridge();
        uses::everything(&container, &keys);
    }

    fn a_removed_container_leaves_only_its_sidecar_until_cleanup(operator, mode) {
        let container = Container::launch(operator, "removed", mode);
        let tree = container.tree();
        container.remove();
        container.expect_gone(tree);
        assert!(container.sidecar().exists());

        operator.terokctl_ok(&["cleanup", container.name()]);
        assert!(!container.sidecar().exists());
        assert!(!container.socket_directory().exists());
        let tokens = operator.terokctl_ok(&["vault", "token", "list", "--json"]);
        assert!(!tokens.contains(container.name()), "{tokens}");
    }
}

//! Where this container's supervisor shall live: decided here, done in `daemon` and `unit`.
//!
//! A daemon starts many times sooner. A unit is outside the runtime's namespaces and cgroup: it can
//! ask the operator's keyrings, and outlives conmon's scope.

use terok_hook::operator::Ground;
use terok_shared::placement::Placement;
use terok_shared::sidecar::Sidecar;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Daemon,
    /// Wanted by the operator, or needed; a daemon where that does not work.
    Unit,
}

/// What the sidecar says goes before what the descriptor says.
pub(crate) fn choose(sidecar: &Sidecar, descriptor: Placement, ground: Ground) -> Place {
    match sidecar.placement.unwrap_or(descriptor) {
        Placement::Daemon => Place::Daemon,
        Placement::Unit => Place::Unit,
        // From inside a rootless namespace no keyring of the operator's can be read.
        Placement::Auto if sidecar.use_keyring && ground == Ground::Namespace => Place::Unit,
        Placement::Auto => Place::Daemon,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn chosen(placement: Option<&str>, use_keyring: bool, descriptor: Placement) -> Place {
        chosen_on(Ground::Namespace, placement, use_keyring, descriptor)
    }

    fn chosen_on(
        ground: Ground,
        placement: Option<&str>,
        use_keyring: bool,
        descriptor: Placement,
    ) -> Place {
        let json = json!({
            "container_name": "web", "db_path": "/v/c.db", "runtime_dir": "/r",
            "placement": placement, "credentials_use_keyring": use_keyring,
        });
        let sidecar = Sidecar::parse(Path::new("/s/sidecar/web.json"), json.to_string().as_bytes());
        choose(&sidecar.unwrap(), descriptor, ground)
    }

    #[test]
    fn a_container_that_may_ask_the_keyring_gets_a_unit() {
        assert_eq!(chosen(None, false, Placement::Auto), Place::Daemon);
        assert_eq!(chosen(None, true, Placement::Auto), Place::Unit);
        assert_eq!(chosen(Some("auto"), true, Placement::Daemon), Place::Unit);
        // Root's daemon is among root's own processes already.
        assert_eq!(chosen_on(Ground::Host, None, true, Placement::Auto), Place::Daemon);
    }

    #[test]
    fn the_choice_can_be_forced_and_the_sidecar_goes_first() {
        assert_eq!(chosen(None, true, Placement::Daemon), Place::Daemon);
        assert_eq!(chosen(None, false, Placement::Unit), Place::Unit);
        assert_eq!(chosen(Some("daemon"), true, Placement::Unit), Place::Daemon);
        assert_eq!(chosen(Some("unit"), false, Placement::Daemon), Place::Unit);
    }
}

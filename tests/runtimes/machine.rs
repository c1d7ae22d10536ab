//! A command in mount namespace of its own, with the cgroup layout that its runtime needs, bounded
//! in time.
//!
//! crun refuses the hybrid layout, and a root without CAP_SYS_RESOURCE cannot let it set up device
//! rules: so crun is run without cgroups here. Neither has anything to do with hooks.

use std::path::Path;
use std::process::Command;

use crate::place::Place;

/// A container that hangs must not hang the tests.
const LIMIT: &str = "60";

/// Replaces a hybrid layout by plain cgroup v2, in this mount namespace alone.
const PLAIN_CGROUPS: &str = r#"
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then
    umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit 125
fi
exec "$@"
"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    Crun,
    Runc,
}

impl Runtime {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crun => "crun",
            Self::Runc => "runc",
        }
    }

    /// A program in `place` on a machine where this runtime works.
    pub(crate) fn command(self, place: &Place, program: &Path) -> Command {
        let mut command = place.command(Path::new("/usr/bin/timeout"));
        command.args(["--kill-after=5", LIMIT]);
        if self == Self::Crun {
            command.args(["unshare", "--mount", "sh", "-c", PLAIN_CGROUPS, "sh"]);
        }
        command.arg(program);
        command
    }
}

//! The flags of `podman run` that wire a container. Pure; no secret is among them, because every
//! user of the machine can read them.

use std::fs;
use std::path::Path;

use terok_shared::annotation;
use terok_shared::layout::MOUNT_POINT;

use super::client_files::ClientFile;
use super::environment::HOST;
use super::plan::Plan;
use crate::cli::{Mode, OciRuntime};

/// What of this machine the flags depend on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    /// Containers of root share no user namespace with slirp4netns.
    pub(super) is_root: bool,
    pub(super) selinux_enforces: bool,
}

/// What of a launch is mounted, besides what its mode asks for.
#[derive(Debug, Default)]
pub(super) struct Wiring {
    /// An agent socket that needs no handshake.
    pub(super) plain_agent: bool,
    pub(super) files: Vec<ClientFile>,
}

impl Machine {
    pub(super) fn look() -> Self {
        Self {
            is_root: nix::unistd::geteuid().is_root(),
            // selinux(8): the file is there only where SELinux is.
            selinux_enforces: fs::read_to_string("/sys/fs/selinux/enforce")
                .is_ok_and(|text| text.trim() == "1"),
        }
    }

    /// Whether a container of this plan can have an agent socket that needs no handshake. In tcp
    /// mode it is the only thing that is mounted, and not worth the container's label.
    pub(super) fn has_plain_agent(self, plan: &Plan) -> bool {
        plan.mode == Mode::Socket || !self.selinux_enforces
    }
}

/// One word each, `--flag=value`. The variables' flags are the caller's.
pub(super) fn flags(plan: &Plan, wiring: &Wiring, machine: Machine) -> Vec<String> {
    let mut flags = vec![
        format!("--name={}", plan.name),
        format!("--annotation={}={}", annotation::KEY, plan.sidecar),
    ];
    if let Some(runtime) = plan.runtime {
        let name = match runtime {
            OciRuntime::Crun => "crun",
            OciRuntime::Runc => "runc",
        };
        flags.push(format!("--runtime={name}"));
    }
    match plan.mode {
        Mode::Socket => flags.extend(sockets(&plan.socket_directory, machine)),
        Mode::Tcp => {
            flags.extend(loopback(machine));
            flags.extend(wiring.plain_agent.then(|| mount(&plan.socket_directory)));
        }
    }
    // A file of its own may be labelled for containers; where the label is off it does no harm.
    let options = if machine.selinux_enforces { "ro,z" } else { "ro" };
    let file = |file: &ClientFile| {
        format!("--volume={}:{}:{options}", file.here.display(), file.inside.display())
    };
    flags.extend(wiring.files.iter().map(file));
    flags
}

fn mount(directory: &Path) -> String {
    format!("--volume={}:{MOUNT_POINT}:ro", directory.display())
}

fn sockets(directory: &Path, machine: Machine) -> Vec<String> {
    let mut flags = vec![mount(directory)];
    // A container's domain may not connect to a socket of the supervisor's, whatever the label
    // of the file is, and we load no policy module that would allow it.
    if machine.selinux_enforces {
        flags.push("--security-opt=label=disable".to_owned());
    }
    flags
}

/// The network in which the host's loopback can be reached, and what it is called there: podman
/// before version 5 gives its name the host's outside address.
fn loopback(machine: Machine) -> [String; 2] {
    let (network, address) = match machine.is_root {
        true => ("host", "127.0.0.1"),
        // 10.0.2.2 is the host in slirp4netns(1).
        false => ("slirp4netns:allow_host_loopback=true", "10.0.2.2"),
    };
    [format!("--network={network}"), format!("--add-host={HOST}:{address}")]
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::plan;
    use super::*;

    const USER: Machine = Machine { is_root: false, selinux_enforces: false };

    fn flags(plan: &Plan, machine: Machine) -> Vec<String> {
        super::flags(plan, &Wiring::default(), machine)
    }

    #[test]
    fn socket_mode_mounts_and_leaves_the_network_alone() {
        let plan = plan("web --runtime runc --provider p").unwrap();
        assert_eq!(
            flags(&plan, USER),
            [
                "--name=web",
                "--annotation=terok.sandbox.sidecar=/t/state/sidecar/web.json",
                "--runtime=runc",
                "--volume=/t/run/run/web:/run/terok:ro",
            ]
        );
    }

    #[test]
    fn where_selinux_enforces_the_label_goes_in_socket_mode_alone() {
        let enforcing = Machine { selinux_enforces: true, ..USER };
        let option = "--security-opt=label=disable".to_owned();
        assert!(flags(&plan("web").unwrap(), enforcing).contains(&option));
        assert!(!flags(&plan("web --mode tcp").unwrap(), enforcing).contains(&option));
    }

    #[test]
    fn a_plain_agent_is_mounted_in_tcp_mode_too_unless_it_would_cost_the_label() {
        let plan = plan("web --mode tcp").unwrap();
        let wiring = Wiring { plain_agent: true, ..Wiring::default() };
        let flags = super::flags(&plan, &wiring, USER);
        assert_eq!(flags.last().unwrap(), "--volume=/t/run/run/web:/run/terok:ro");
        assert!(USER.has_plain_agent(&plan));
        assert!(!Machine { selinux_enforces: true, ..USER }.has_plain_agent(&plan));
    }

    #[test]
    fn a_clients_file_is_mounted_where_it_looks_and_cannot_be_written() {
        let file = ClientFile { here: "/s/web.x".into(), inside: "/root/.x/y".into() };
        let wiring = Wiring { files: vec![file], ..Wiring::default() };
        let flags = super::flags(&plan("web").unwrap(), &wiring, USER);
        assert_eq!(flags.last().unwrap(), "--volume=/s/web.x:/root/.x/y:ro");
    }

    #[test]
    fn tcp_mode_makes_the_hosts_loopback_reachable_by_its_name() {
        for (is_root, network) in
            [(true, "--network=host"), (false, "--network=slirp4netns:allow_host_loopback=true")]
        {
            let flags = flags(&plan("web --mode tcp").unwrap(), Machine { is_root, ..USER });
            assert!(flags.iter().any(|flag| flag == network), "{flags:?}");
            let named = format!("--add-host={HOST}:");
            assert!(flags.iter().any(|flag| flag.starts_with(&named)), "{flags:?}");
        }
    }
}

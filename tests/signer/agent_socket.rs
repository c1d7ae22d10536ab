//! The agent socket without a handshake: served to processes of the container, closed to all
//! others, whatever user they run as.
//!
//! A process in a pid namespace of its own stands in for the container's init.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use terok_tests::by_hand::ByHand;
use terok_tests::eventually::found;
use terok_tests::house::House;
use terok_tests::sidecar::Sidecar;
use terok_tests::{fixtures, openssh};

use crate::old_kernel::on_an_old_kernel;

struct Container {
    unshare: Child,
    /// The init's pid in our numbering.
    init: i32,
}

impl Container {
    /// `None`, with a word about it, where nobody may make namespaces.
    fn start() -> Option<Self> {
        let mut unshare = Command::new("unshare");
        if !nix::unistd::geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args(["--pid", "--fork", "--kill-child", "sleep", "120"]).stdout(Stdio::null());
        let mut unshare = unshare.spawn().unwrap();
        let children = format!("/proc/{0}/task/{0}/children", unshare.id());
        let init = found("the container's init", || {
            if unshare.try_wait().unwrap().is_some() {
                return Some(0);
            }
            std::fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok()
        });
        if init == 0 {
            println!("skipped: no namespaces for this user");
            return None;
        }
        Some(Self { unshare, init })
    }

    /// Runs a command as a process of the container, on the host's file system.
    fn run(&self, words: &[&str], agent: &Path) -> Output {
        let mut nsenter = Command::new("nsenter");
        nsenter.arg(format!("--target={}", self.init));
        if !nix::unistd::geteuid().is_root() {
            nsenter.args(["--user", "--preserve-credentials"]);
        }
        nsenter.arg("--pid").args(words).env("SSH_AUTH_SOCK", agent).output().unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

fn sidecar(house: &House) -> Sidecar {
    house.sidecar("web").with("agent_socket", true).with("ssh_token", fixtures::token("ssh"))
}

fn socket(house: &House) -> PathBuf {
    house.runtime_dir().join("run/web/signer/agent.sock")
}

fn start(house: &House, container: &Container) -> ByHand {
    let pid = container.init.to_string();
    let by_hand = ByHand::start_with(house, &sidecar(house), &["--container-pid", &pid]);
    by_hand.wait_until_it_says("signer is ready");
    by_hand
}

#[test]
fn a_process_of_the_container_lists_keys_and_signs_without_a_word() {
    let Some(container) = Container::start() else { return };
    let house = House::new();
    let _by_hand = start(&house, &container);
    let agent = socket(&house);
    let listed = container.run(&["ssh-add", "-L"], &agent);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed.lines().collect::<Vec<_>>(), fixtures::ssh_public_keys());
    // In a namespace made inside the container too: a build's sandbox, a container in it.
    let deeper = ["unshare", "--pid", "--fork", "ssh-add", "-L"];
    let listed = String::from_utf8(container.run(&deeper, &agent).stdout).unwrap();
    assert_eq!(listed.lines().count(), 2);
}

#[test]
fn a_process_that_does_not_live_in_the_container_is_closed() {
    let Some(container) = Container::start() else { return };
    let Some(other) = Container::start() else { return };
    let house = House::new();
    let by_hand = start(&house, &container);
    let agent = socket(&house);
    assert!(!openssh::list_keys(&agent).status.success());
    by_hand.wait_until_it_says("is not of this container");
    assert!(!other.run(&["ssh-add", "-L"], &agent).status.success());
    // And the contract's socket serves on.
    let token = fixtures::token("ssh");
    let signer = by_hand.endpoint(terok_shared::service::Service::Signer);
    let mut client = terok_tests::agent::Agent::connect(&signer, &token).unwrap();
    assert_eq!(client.identities().unwrap(), 2);
}

#[test]
fn an_old_kernels_parent_says_who_lives_in_the_container() {
    let Some(container) = Container::start() else { return };
    let Some(other) = Container::start() else { return };
    on_an_old_kernel(|| {
        let house = House::new();
        let by_hand = start(&house, &container);
        let agent = socket(&house);
        let deeper = ["unshare", "--pid", "--fork", "ssh-add", "-L"];
        for words in [&["ssh-add", "-L"][..], &deeper] {
            let listed = String::from_utf8(container.run(words, &agent).stdout).unwrap();
            assert_eq!(listed.lines().count(), 2, "{}", by_hand.said());
        }
        assert!(!openssh::list_keys(&agent).status.success());
        by_hand.wait_until_it_says("is not of this container");
        assert!(!other.run(&["ssh-add", "-L"], &agent).status.success());
        // A signer that was started anew asks at the same end.
        by_hand.child(terok_shared::service::Service::Signer).unwrap().kill().unwrap();
        let listed = container.run(&["ssh-add", "-L"], &agent);
        assert_eq!(String::from_utf8(listed.stdout).unwrap().lines().count(), 2);
    });
}

#[test]
fn an_old_kernel_lets_no_process_in_that_has_ended_since() {
    let Some(container) = Container::start() else { return };
    on_an_old_kernel(|| {
        let house = House::new();
        let by_hand = start(&house, &container);
        pass_on_a_connection(&by_hand, &socket(&house));
        by_hand.wait_until_it_says("the process that connected has ended");
    });
}

#[test]
fn a_process_that_has_ended_since_is_nobody() {
    let Some(container) = Container::start() else { return };
    let house = House::new();
    let by_hand = start(&house, &container);
    pass_on_a_connection(&by_hand, &socket(&house));
    by_hand.wait_until_it_says("the process that connected has ended");
}

/// One connects, passes the connection on to a child that outlives it, and ends. The child asks.
fn pass_on_a_connection(by_hand: &ByHand, socket: &Path) {
    let script = "use Socket; $SIG{PIPE} = 'IGNORE'; socket(S, AF_UNIX, SOCK_STREAM, 0); kill 'STOP', $ARGV[1]; \
                  connect(S, sockaddr_un($ARGV[0])) or die; \
                  if (fork) { exit } select(undef, undef, undef, 0.3); kill 'CONT', $ARGV[1]; \
                  syswrite(S, \"\\0\\0\\0\\1\\x0b\"); print sysread(S, $answer, 4) || 0";
    let signer = by_hand.child(terok_shared::service::Service::Signer).unwrap();
    let output = Command::new("perl")
        .args(["-e", script, socket.to_str().unwrap(), &signer.pid().to_string()])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0", "{output:?}");
}

#[test]
fn a_container_that_shares_the_hosts_processes_gets_no_such_socket() {
    let house = House::new();
    let web = house.container(&sidecar(&house));
    web.start_serving(&[terok_shared::service::Service::Signer]);
    web.logged("agent socket: the container shares the host's processes");
    assert!(!socket(&house).exists());
}

#[test]
fn without_a_container_to_watch_there_is_no_such_socket() {
    let house = House::new();
    let by_hand = ByHand::start(&house, &sidecar(&house), &[]);
    by_hand.wait_until_it_says("agent socket: no container is watched");
    assert!(!socket(&house).exists());
}

#[test]
fn the_socket_goes_with_its_supervisor() {
    let Some(container) = Container::start() else { return };
    let house = House::new();
    let mut by_hand = start(&house, &container);
    assert!(socket(&house).exists());
    by_hand.interrupt();
    by_hand.ended();
    assert!(!socket(&house).exists());
}

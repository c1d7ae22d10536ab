//! containerd with the wrapper as the runtime that its shim calls, started by hand on sockets of
//! its own.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use terok_tests::eventually::eventually;

use crate::machine::Runtime;
use crate::place::Place;
use crate::skip;

pub(crate) const PROGRAMS: [&str; 6] =
    ["containerd", "containerd-shim-runc-v2", "ctr", "runc", "busybox", "curl"];

/// A daemon of this test's own, ended by its pid.
pub(crate) struct Daemon(Child);

impl Daemon {
    /// Starts a program that serves on `socket` soon.
    #[track_caller]
    pub(crate) fn start(mut command: Command, log: PathBuf, socket: &str) -> Self {
        let log_file = File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log_file);
        let daemon = Self(command.spawn().unwrap());
        eventually(&format!("{socket} answers: see {}", log.display()), || {
            std::os::unix::net::UnixStream::connect(socket).is_ok()
        });
        daemon
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        // It may have ended before, and then the test has failed already.
        let _ = kill(pid, Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

/// containerd's socket in `place`.
pub(crate) fn socket(place: &Place) -> String {
    place.path("containerd.sock").to_str().unwrap().to_owned()
}

pub(crate) fn start(place: &Place) -> Daemon {
    let path = |below: &str| place.path(below).to_str().unwrap().to_owned();
    let text = format!(
        "version = 2\nroot = \"{}\"\nstate = \"{}\"\n\
         disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
         [grpc]\naddress = \"{}\"\n[ttrpc]\naddress = \"{}\"\n",
        path("containerd-root"),
        path("containerd-state"),
        socket(place),
        path("containerd.ttrpc"),
    );
    let config = place.path("containerd.toml");
    fs::write(&config, text).unwrap();
    let mut command = Command::new(skip::program("containerd"));
    command.arg("--config").arg(config);
    Daemon::start(command, place.path("containerd.log"), &socket(place))
}

#[test]
fn a_container_of_containerd_is_served() {
    if !skip::root_with("containerd", &PROGRAMS) {
        return;
    }
    let place = Place::new();
    // Neither options nor variables get through containerd to a runtime.
    fs::write(place.installed("terok-runtime.conf"), "real-runtime = runc\n").unwrap();
    let _daemon = start(&place);
    let output = Runtime::Runc
        .command(&place, &skip::program("ctr"))
        .args(["--address", &socket(&place), "run", "--rm", "--rootfs", "--env", "PATH=/bin"])
        .args(["--annotation", &place.annotation(), "--mount"])
        .arg(format!("type=bind,src={},dst=/run/terok,options=rbind:ro", place.sockets()))
        .arg("--runc-binary")
        .arg(place.installed("terok-runtime"))
        .arg(place.rootfs())
        .args([place.id(), "/bin/sh", "-c", &place.request()])
        .output()
        .unwrap();
    place.expect_served(&output);
    place.expect_gone();
}

#[test]
fn a_container_of_containerd_that_requires_us_is_refused_with_the_reason() {
    if !skip::root_with("containerd", &PROGRAMS) {
        return;
    }
    let place = Place::new();
    fs::write(place.installed("terok-runtime.conf"), "real-runtime = runc\n").unwrap();
    place.amend("required", true.into());
    fs::remove_file(place.installed("terok-hook")).unwrap();
    let _daemon = start(&place);
    let output = Runtime::Runc
        .command(&place, &skip::program("ctr"))
        .args(["--address", &socket(&place), "run", "--rm", "--rootfs"])
        .args(["--annotation", &place.annotation(), "--runc-binary"])
        .arg(place.installed("terok-runtime"))
        .arg(place.rootfs())
        .args([place.id(), "/bin/true"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("hooks not added") && said.contains("terok-hook"), "{said}");
}

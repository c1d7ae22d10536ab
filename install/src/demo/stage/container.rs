//! A real rootless container, its image made of the host's own programs: no registry, no network.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::unistd::geteuid;

use super::super::DemoError;
use super::super::place::{Place, output};
use super::{NAME, launch};

const IMAGE: &str = "localhost/terok-test:full";
const IMAGE_SCRIPT: &str = include_str!("../../../../tests/podman/image.sh");
const BRIDGE_SCRIPT: &str = include_str!("../../../../tests/podman/terok-bridge");

pub(in super::super) struct Container<'a> {
    place: &'a Place,
    version: String,
}

impl<'a> Container<'a> {
    /// Makes the image and runs a first container from it; why not, when that fails.
    pub(super) fn find(place: &'a Place) -> Result<Self, String> {
        if geteuid().is_root() {
            return Err("root has no rootless containers".to_owned());
        }
        let short = |why: DemoError| why.to_string().lines().next().unwrap_or_default().to_owned();
        let version = output("podman --version", place.command("podman").arg("--version"))
            .map_err(|_| "podman is not installed".to_owned())?;
        make_image(place).map_err(short)?;
        let container = Self { place, version: version.trim().to_owned() };
        let mut first = container.podman();
        first.args(["run", "--rm", "--pull=never", "--network=none", IMAGE, "true"]);
        output("podman run", &mut first).map_err(short)?;
        Ok(container)
    }

    pub(super) fn place(&self) -> &'a Place {
        self.place
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn podman(&self) -> Command {
        self.place.command("podman")
    }

    pub(super) fn start(&self) -> Result<(String, Duration), DemoError> {
        let mut words = launch(self.place);
        words.insert(0, "run".to_owned());
        for word in ["--", "--detach", "--init", "--pull=never", "--network=none", IMAGE] {
            words.push(word.to_owned());
        }
        words.extend(["sleep".to_owned(), "600".to_owned()]);
        let began = Instant::now();
        let printed = self.place.terokctl(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
        let took = began.elapsed();
        output("terok-bridge", &mut self.shell("terok-bridge"))?;
        Ok((printed.lines().last().unwrap_or_default().to_owned(), took))
    }

    pub(super) fn shell(&self, script: &str) -> Command {
        let mut podman = self.podman();
        podman
            .args(["exec", "--env", "HOME=/root", "--env", "SSH_AUTH_SOCK=/tmp/ssh-agent.sock"])
            .args(["--env", "BROKER=http://localhost:9419", "--env", "GATE=localhost:9418"])
            .args(["--workdir", "/root", NAME, "sh", "-c", script]);
        podman
    }

    pub(super) fn end(&self) -> Result<(), DemoError> {
        let mut remove = self.podman();
        remove.args(["rm", "--force", "--time", "0", NAME]);
        output("podman rm", &mut remove).map(|_| ())
    }
}

fn make_image(place: &Place) -> Result<(), DemoError> {
    for (name, text) in [("image.sh", IMAGE_SCRIPT), ("terok-bridge", BRIDGE_SCRIPT)] {
        let path = place.path(name);
        fs::write(&path, text).map_err(DemoError::io(format!("write {}", path.display())))?;
    }
    let mut script = place.command("bash");
    script.arg(place.path("image.sh")).arg(place.path("images"));
    output("make the container image", &mut script).map(|_| ())
}

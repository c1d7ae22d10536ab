//! A real sshd on the loopback, with a host key of its own, that lets in who has the given keys.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::eventually::eventually;

const SSHD: &str = "/usr/sbin/sshd";

pub struct Sshd {
    directory: TempDir,
    port: u16,
    process: Child,
}

/// A host of its own kind of key; `None`, with a word about it, where no sshd is installed.
pub fn start(host_key: &str, authorized: &[String]) -> Option<Sshd> {
    start_by(Command::new(SSHD), "", host_key, authorized)
}

/// A host that is like those of repositories: its one account is `git`, and whatever is asked there
/// is `command`'s to answer (sshd_config(5), ForceCommand), in `home`.
pub fn start_of_git(home: &Path, command: &Path, authorized: &[String]) -> Option<Sshd> {
    // In a mount namespace of its own, where our user has that name.
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let users = home.join("passwd");
    fs::write(&users, format!("git:x:{uid}:{gid}::{}:/bin/sh\n", home.display())).unwrap();
    let mut sshd = Command::new("unshare");
    sshd.args(["--user", "--map-current-user", "--keep-caps", "--mount", "sh", "-c"])
        .arg("mount --bind \"$0\" /etc/passwd && exec \"$@\"")
        .arg(users)
        .arg(SSHD);
    let settings = format!("ForceCommand {}\n", command.display());
    start_by(sshd, &settings, "ed25519", authorized)
}

fn start_by(
    mut sshd: Command,
    settings: &str,
    host_key: &str,
    authorized: &[String],
) -> Option<Sshd> {
    if !Path::new(SSHD).exists() {
        println!("skipped: no {SSHD} on this machine (package openssh-server)");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    // sshd wants every directory on the way to its files closed to others, or StrictModes off.
    let key = directory.path().join("host");
    let (kind, bits) = host_key.split_once(' ').unwrap_or((host_key, ""));
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-N", "", "-t", kind, "-f"]).arg(&key);
    if !bits.is_empty() {
        keygen.args(["-b", bits]);
    }
    assert!(keygen.status().unwrap().success());
    let keys = directory.path().join("authorized_keys");
    fs::write(&keys, authorized.join("\n") + "\n").unwrap();
    let port = free_port();
    let configuration = directory.path().join("sshd_config");
    let text = format!(
        "ListenAddress 127.0.0.1\nPort {port}\nHostKey {}\nAuthorizedKeysFile {}\n\
         PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nLogLevel INFO\n{settings}",
        key.display(),
        keys.display()
    );
    fs::write(&configuration, text).unwrap();
    if nix::unistd::geteuid().is_root() {
        // Where sshd locks itself in before anybody is known; a package's service makes it.
        fs::create_dir_all("/run/sshd").unwrap();
        fs::set_permissions("/run/sshd", fs::Permissions::from_mode(0o755)).unwrap();
    }
    let log = File::create(directory.path().join("log")).unwrap();
    let process = sshd
        .args(["-D", "-e", "-f"])
        .arg(&configuration)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let sshd = Sshd { directory, port, process };
    eventually(&format!("sshd listens: {}", sshd.log()), || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    });
    Some(sshd)
}

impl Sshd {
    /// `ssh` with the agent's keys, to run `command` on the host.
    pub fn ssh(&self, agent: &Path, options: &[&str], command: &str) -> Output {
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap();
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o"])
            .arg(format!("UserKnownHostsFile={}", self.known_hosts().display()))
            .args(["-o", "GlobalKnownHostsFile=none", "-p"])
            .arg(self.port.to_string())
            .args(options)
            .arg(format!("{}@127.0.0.1", user.name))
            .arg(command)
            .env("SSH_AUTH_SOCK", agent)
            .stdin(Stdio::null());
        ssh.output().unwrap()
    }

    /// Lets ssh offer this one key of the agent.
    pub fn only(&self, public_line: &str) -> [String; 4] {
        let file = self.directory.path().join("identity.pub");
        fs::write(&file, format!("{public_line}\n")).unwrap();
        let identity = format!("IdentityFile={}", file.display());
        ["-o".into(), "IdentitiesOnly=yes".into(), "-o".into(), identity]
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// A line of known_hosts for this host.
    pub fn known_host(&self) -> String {
        self.known_host_as(&format!("[127.0.0.1]:{}", self.port))
    }

    /// The same under a name that it is given.
    pub fn known_host_as(&self, name: &str) -> String {
        let key = fs::read_to_string(self.directory.path().join("host.pub")).unwrap();
        format!("{name} {}", key.trim_end())
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn known_hosts(&self) -> PathBuf {
        let file = self.directory.path().join("known_hosts");
        fs::write(&file, self.known_host() + "\n").unwrap();
        file
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        if std::thread::panicking() {
            println!("sshd:\n{}", self.log());
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

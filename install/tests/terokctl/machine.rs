//! An operator's machine made of one temporary directory, and the real terokctl on it.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use terok_shared::secret::Secret;
use vault_store::Vault;
use vault_store::token::TokenInfo;

pub(crate) const PASSPHRASE: &str = "correct horse battery";
/// What no output, argument or file outside the vault may ever hold.
pub(crate) const CREDENTIAL: &str = "ghp_RealSecretOfTheOperator";

pub(crate) struct Machine {
    directory: TempDir,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Machine {
    pub(crate) fn bare() -> Self {
        let machine = Self { directory: tempfile::tempdir().unwrap() };
        for directory in ["home", "run", "bin"] {
            fs::create_dir(machine.path(directory)).unwrap();
        }
        machine.write("passphrase", &format!("{PASSPHRASE}\n"));
        machine
    }

    /// With a vault, unlocked for the session.
    pub(crate) fn new() -> Self {
        let machine = Self::bare();
        let file = machine.text("passphrase");
        machine.ok(&["vault", "init", "--passphrase-file", &file]);
        machine
    }

    /// With a credential for github and a key of scope `app`.
    pub(crate) fn furnished() -> Self {
        let machine = Self::new();
        machine.with_input(&["vault", "add", "github"], CREDENTIAL).expect_success();
        machine.ok(&["ssh", "generate", "--scope", "app"]);
        machine
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    pub(crate) fn text(&self, below: &str) -> String {
        self.path(below).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, below: &str, contents: &str) -> PathBuf {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path
    }

    pub(crate) fn read(&self, below: &str) -> String {
        fs::read_to_string(self.path(below)).unwrap()
    }

    pub(crate) fn mode(&self, below: &str) -> u32 {
        fs::symlink_metadata(self.path(below)).unwrap().mode() & 0o7777
    }

    /// A program on this machine's PATH.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let path = self.write(&format!("bin/{name}"), script);
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }

    /// `program` with this machine's environment and no other.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let path = format!("{}:{}", self.text("bin"), "/usr/local/bin:/usr/bin:/bin");
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.path("home"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("TEROK_SANDBOX_STATE_DIR", self.path("state"))
            .env("TEROK_SANDBOX_RUNTIME_DIR", self.path("run/terok/sandbox"))
            .env("TEROK_VAULT_DIR", self.path("vault"))
            .current_dir(self.directory.path());
        command
    }

    pub(crate) fn terokctl(&self, words: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_terokctl"));
        command.args(words).stdin(Stdio::null());
        command
    }

    pub(crate) fn say(&self, words: &[&str]) -> Said {
        self.terokctl(words).output().unwrap().into()
    }

    pub(crate) fn with_input(&self, words: &[&str], input: &str) -> Said {
        let mut command = self.terokctl(words);
        said(&mut command, input)
    }

    /// Runs a command that must succeed; its output.
    pub(crate) fn ok(&self, words: &[&str]) -> String {
        let said = self.say(words);
        assert_eq!(said.status, 0, "{words:?}: {said:?}");
        said.out
    }

    /// Runs a command that must fail with a message and, where `hint`, a way out.
    pub(crate) fn fails(&self, words: &[&str], with: &str, hint: &str) -> Said {
        let said = self.say(words);
        assert_eq!(said.status, 1, "{words:?}: {said:?}");
        assert!(said.err.starts_with("error: "), "{said:?}");
        assert!(said.err.contains(with), "{with} not in {said:?}");
        if !hint.is_empty() {
            let (_, line) = said.err.split_once("\nhint: ").unwrap_or_else(|| panic!("{said:?}"));
            assert!(line.contains(hint), "{hint} not in {said:?}");
        }
        said
    }

    /// The vault itself, opened past terokctl.
    pub(crate) fn vault(&self) -> Vault {
        let passphrase = Secret::from(PASSPHRASE.to_owned());
        Vault::open(&self.path("vault/credentials.db"), &passphrase).unwrap()
    }

    pub(crate) fn tokens(&self) -> Vec<TokenInfo> {
        self.vault().tokens().unwrap().into_iter().map(|stored| stored.info).collect()
    }

    /// Whether nothing of a launch `name` is there.
    pub(crate) fn has_nothing_of(&self, name: &str) -> bool {
        let places = [
            format!("state/sidecar/{name}.json"),
            format!("state/sidecar/{name}.env"),
            format!("run/terok/sandbox/run/{name}"),
        ];
        places.iter().all(|place| !self.path(place).exists())
            && self.tokens().iter().all(|token| token.subject != name)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The keyring is the user's: it would keep the passphrase after the test.
        let _ = self.say(&["vault", "lock"]);
    }
}

/// Runs a command with this on its standard input.
pub(crate) fn said(command: &mut Command, input: &str) -> Said {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that fails early does not read it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap().into()
}

impl Said {
    pub(crate) fn expect_success(self) -> Self {
        assert_eq!(self.status, 0, "{self:?}");
        self
    }

    pub(crate) fn everything(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// All files below a directory, as text where they are text.
pub(crate) fn files_below(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            found.push((path, text));
        }
    }
    found
}

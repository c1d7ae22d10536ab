//! Somebody new at a terminal of 80 columns: an empty home, `make install`ed programs first on
//! PATH, podman with the suite's images, and known providers that lead to an upstream of the test's.
//!
//! What is typed are shell scripts; prompts are answered as a person would. Whatever is left when
//! the session ends (containers, launches, the passphrase in the session cache) is taken away.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use terok_tests::upstream::Upstream;

use crate::operator::Operator;

/// What the person types when asked for a passphrase, and for a credential.
pub(crate) const PASSPHRASE: &str = "a passphrase that only this test knows";
pub(crate) const CREDENTIAL: &str = "sk-the-real-credential-of-this-test";
/// What documents call their image.
const IMAGE: &str = "localhost/agent";
/// Seconds a script may take; a debug build derives keys slowly on a busy machine.
const LIMIT: &str = "240";
/// Seconds that commands which go on for ever are watched.
const GLIMPSE: u32 = 3;

pub(crate) struct Session<'o> {
    operator: &'o Operator,
    home: TempDir,
    upstream: Upstream,
}

/// What a script showed, without colours and carriage returns, and how it ended.
#[derive(Debug)]
pub(crate) struct Played {
    pub(crate) text: String,
    pub(crate) status: i32,
}

impl<'o> Session<'o> {
    pub(crate) fn new(operator: &'o Operator) -> Self {
        let home = tempfile::Builder::new().prefix("terok-new").tempdir().unwrap();
        let session = Self { operator, home, upstream: Upstream::start() };
        session.share_images();
        session.lead_providers_to_upstream();
        session
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Where the suite ran `make install DESTDIR=… PREFIX=/usr/local`.
    pub(crate) fn installed(&self) -> PathBuf {
        self.operator.program("installed/usr/local")
    }

    pub(crate) fn containers_conf(&self) -> PathBuf {
        self.home().join(".config/containers/containers.conf")
    }

    /// The operator's store of images and containers, and its runtime.
    fn share_images(&self) {
        let podman = |field: &str| {
            let format = format!("{{{{.Store.{field}}}}}");
            self.operator.podman_ok(&["info", "--format", &format])
        };
        let conf = self.home().join(".config/containers");
        fs::create_dir_all(&conf).unwrap();
        let mut storage = format!(
            "[storage]\ndriver = \"{}\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n",
            podman("GraphDriverName"),
            podman("GraphRoot"),
            podman("RunRoot")
        );
        let own = self.operator.home().join(".config/containers/storage.conf");
        let own = fs::read_to_string(own).unwrap_or_default();
        storage += own.find("[storage.options").map_or("", |options| &own[options..]);
        fs::write(conf.join("storage.conf"), storage).unwrap();
        fs::write(self.containers_conf(), self.operator.own_configuration()).unwrap();
        self.operator.podman_ok(&["tag", crate::container::IMAGE, IMAGE]);
    }

    /// `vault add` leaves routes that are there as they are.
    fn lead_providers_to_upstream(&self) {
        let route = |header: &str, prefix: &str| json!({ "upstream": self.upstream.url(), "auth_header": header, "auth_prefix": prefix });
        let routes: Value = json!({
            "anthropic": route("dynamic", ""),
            "openai": route("Authorization", "Bearer "),
            "github": route("Authorization", "token "),
        });
        let vault = self.home().join(".local/share/terok/vault");
        fs::create_dir_all(&vault).unwrap();
        fs::set_permissions(&vault, fs::Permissions::from_mode(0o700)).unwrap();
        fs::write(vault.join("routes.json"), routes.to_string()).unwrap();
    }

    /// Types a script that must go well; what the terminal showed.
    #[track_caller]
    pub(crate) fn ok(&self, script: &str) -> String {
        let played = self.play(script);
        assert_eq!(played.status, 0, "{script}\n{}", played.text);
        played.text
    }

    /// Types a script, which ends at its first failure.
    pub(crate) fn play(&self, script: &str) -> Played {
        let file = self.home().join(".played.sh");
        fs::write(&file, format!("{}\n{script}", self.preamble())).unwrap();
        let line = format!("exec bash -euo pipefail {}", file.display());
        let mut terminal = Command::new("timeout");
        terminal.args(["--kill-after", "5", LIMIT]);
        terminal.args(["script", "--quiet", "--return", "--command", &line, "/dev/null"]);
        self.environment(&mut terminal);
        let mut child = terminal
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script(1) is Debian's");
        let keyboard = child.stdin.take().expect("piped");
        let screen = child.stdout.take().expect("piped");
        let text = sit_before(screen, keyboard);
        let status = child.wait().unwrap().code().unwrap_or(-1);
        fs::remove_file(file).unwrap();
        Played { text, status }
    }

    /// Commands that follow something are watched for a moment, then interrupted.
    fn preamble(&self) -> String {
        format!(
            "stty cols 80 rows 24\n\
             terokctl() {{\n\
               case \" $* \" in\n\
                 *' --watch '*|*' -f '*|*' --follow '*)\n\
                   timeout --foreground --signal INT {GLIMPSE} \"$(type -P terokctl)\" \"$@\" || true ;;\n\
                 *) command terokctl \"$@\" ;;\n\
               esac\n\
             }}"
        )
    }

    fn environment(&self, command: &mut Command) {
        let path = std::env::var("PATH").unwrap_or_default();
        command.env_clear().current_dir(self.home());
        command.env("PATH", format!("{}:{path}", self.installed().join("bin").display()));
        command.env("HOME", self.home()).env("LANG", "C.UTF-8").env("TERM", "xterm-256color");
        command.env("SHELL", "/bin/bash");
        for name in ["USER", "LOGNAME", "XDG_RUNTIME_DIR"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        let played = self.play(
            "set +e\n\
             for sidecar in .local/share/terok/sandbox/sidecar/*.json; do\n\
               [ -e \"$sidecar\" ] || continue\n\
               name=$(basename \"$sidecar\" .json)\n\
               podman rm --force --ignore --time 0 \"$name\"\n\
               terokctl cleanup --force \"$name\"\n\
             done\n\
             terokctl vault lock\n\
             true",
        );
        if std::thread::panicking() {
            println!("the end of the session: {}", played.text);
        }
    }
}

/// Reads what is shown until the terminal closes, and answers what asks for a secret.
fn sit_before(mut screen: impl Read, mut keyboard: impl Write) -> String {
    let (mut shown, mut answered) = (String::new(), 0);
    let mut bytes = [0; 4096];
    while let Ok(count @ 1..) = screen.read(&mut bytes) {
        shown += &String::from_utf8_lossy(&bytes[..count]);
        let asked = &shown[answered..];
        let answer = match asked.rsplit('\n').next().unwrap_or_default() {
            line if line.ends_with("assphrase: ") || line.ends_with(" again: ") => PASSPHRASE,
            line if line.contains("Credential for ") && line.ends_with(": ") => CREDENTIAL,
            _ => continue,
        };
        answered = shown.len();
        // The program turns the echo off after it has asked.
        std::thread::sleep(Duration::from_millis(200));
        if writeln!(keyboard, "{answer}").is_err() {
            break;
        }
    }
    plain(&shown)
}

/// Without carriage returns and escape sequences (ECMA-48 section 5.4).
pub(crate) fn plain(shown: &str) -> String {
    let mut text = String::new();
    let mut characters = shown.chars().filter(|c| *c != '\r').peekable();
    while let Some(character) = characters.next() {
        if character != '\u{1b}' {
            text.push(character);
        } else if characters.next_if_eq(&'[').is_some() {
            // Parameters, then one final character.
            while characters.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
        }
    }
    text
}

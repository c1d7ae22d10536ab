//! Codex and Claude Code as their servers see them: clients that read the credential file they
//! insist on and send what is in it. Upstream sees the host's login; the container never does, and
//! after `cleanup` what it holds opens nothing.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use terok_tests::eventually::eventually;

use crate::container::{Container, IMAGE};
use crate::exposure;
use crate::operator::{self, Operator, PROVIDER, SCOPE, at_work};

const END: i64 = 4_000_000_000;
const REFRESH: &str = "rt-6d0f3b1c9a527e84";
const ACCOUNT: &str = "acc-5f1e";
const VARIABLE: &str = "SUITE_LENT_TOKEN";

/// Clients in form; in an image they would be programs.
const CODEX: &str = include_str!("agents/codex");
const CLAUDE: &str = include_str!("agents/claude");

/// A host on which Codex and Claude Code are logged in, with routes that lead to our upstream;
/// afterwards as it was.
struct LoggedIn<'o> {
    operator: &'o Operator,
    codex: String,
    claude: String,
    routes: (PathBuf, String),
}

impl<'o> LoggedIn<'o> {
    fn on(operator: &'o Operator) -> Self {
        let claims = json!({
            "exp": END, "https://api.openai.com/auth": { "chatgpt_account_id": ACCOUNT },
        });
        let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        let codex = format!("e30.{claims}.c2lnbmVkLWJ5LW5vYm9keS03MWUy");
        let claude = "sk-ant-oat01-93ab0de57c1f48".to_owned();
        for (directory, file, text) in [
            (
                ".codex",
                "auth.json",
                json!({ "auth_mode": "chatgpt", "OPENAI_API_KEY": null, "tokens": {
                    "id_token": "e30.e30.x", "access_token": codex, "refresh_token": REFRESH,
                    "account_id": ACCOUNT } }),
            ),
            (
                ".claude",
                ".credentials.json",
                json!({ "claudeAiOauth": { "accessToken": claude, "refreshToken": REFRESH,
                    "expiresAt": END * 1000, "subscriptionType": "max" } }),
            ),
        ] {
            fs::create_dir_all(operator.home().join(directory)).unwrap();
            fs::write(operator.home().join(directory).join(file), text.to_string()).unwrap();
        }
        let path = operator.home().join(".local/share/terok/vault/routes.json");
        let before = fs::read_to_string(&path).unwrap();
        let mut table: Value = serde_json::from_str(&before).unwrap();
        let upstream = operator.upstream().url();
        table["openai"] = json!({ "upstream": upstream });
        table["anthropic"] = json!({
            "upstream": upstream, "auth_header": "dynamic", "auth_prefix": "",
            "oauth_extra_headers": { "anthropic-beta": "oauth-2025-04-20" },
        });
        fs::write(&path, table.to_string()).unwrap();
        Self { operator, codex, claude, routes: (path, before) }
    }

    fn launch(&self, name: &str) -> Container<'o> {
        let words = ["run", name, "--scope", SCOPE, "--loopback", "--dummy-auth-file"];
        let lent = ["--forward-host-credentials", "codex,claude", "--token"];
        let podman = ["--", "--detach", "--init", "--pull=never", "--network=none", IMAGE];
        let mut terokctl = Command::new(self.operator.program("terokctl"));
        terokctl.args(words).args(lent).arg(format!("{PROVIDER}={VARIABLE}"));
        terokctl.args(podman).args(["sleep", "900"]).env(VARIABLE, self.variable());
        let printed = operator::ok("terokctl run", &mut terokctl);
        Container::known(self.operator, name, printed.lines().last().unwrap_or_default())
    }

    fn variable(&self) -> &'static str {
        "lent-by-variable-20c4f7"
    }

    /// The one request for this path so far.
    fn asked(&self, path: &str) -> String {
        let seen = self.operator.upstream().seen();
        let mut requests = seen.into_iter().filter(|request| request.contains(path));
        let request = requests.next().unwrap_or_else(|| panic!("nobody asked for {path}"));
        assert!(requests.next().is_none(), "asked twice for {path}");
        request
    }
}

impl Drop for LoggedIn<'_> {
    fn drop(&mut self) {
        let (path, before) = &self.routes;
        let _ = fs::write(path, before);
        for directory in [".codex", ".claude"] {
            let _ = fs::remove_dir_all(self.operator.home().join(directory));
        }
    }
}

#[track_caller]
fn has_header(request: &str, name: &str, value: &str) {
    let found = request
        .lines()
        .filter_map(|line| line.split_once(": "))
        .any(|(found, text)| found.eq_ignore_ascii_case(name) && text.trim() == value);
    assert!(found, "no {name} as it should be");
}

#[test]
fn codex_and_claude_code_use_the_hosts_logins_until_cleanup() {
    let Some(operator) = at_work() else { return };
    let host = LoggedIn::on(&operator);
    let container = host.launch("agents");

    assert_eq!(container.shell_ok(CODEX), "200");
    let request = host.asked("POST /backend-api/codex/responses ");
    has_header(&request, "authorization", &format!("Bearer {}", host.codex));
    has_header(&request, "chatgpt-account-id", ACCOUNT);

    assert_eq!(container.shell_ok(CLAUDE), "200");
    let request = host.asked("POST /v1/messages?beta=true ");
    has_header(&request, "authorization", &format!("Bearer {}", host.claude));
    assert!(!request.contains("vault-handles-real-auth"));

    let lent = "curl -sS -o /dev/null -w '%{http_code}' http://localhost:9419/lent \
                -H \"Authorization: Bearer $TEROK_FAKE_TOKEN\"";
    assert_eq!(container.shell_ok(lent), "200");
    has_header(&host.asked("GET /lent "), "authorization", &format!("Bearer {}", host.variable()));

    // The files cannot be changed, and nothing of the real ones is inside.
    for file in [".codex/auth.json", ".claude/.credentials.json"] {
        assert!(!container.shell(&format!("echo x >> ~/{file}")).status.success(), "{file}");
    }
    let secrets = [
        ("codex", host.codex.as_bytes()),
        ("claude", host.claude.as_bytes()),
        ("refresh token", REFRESH.as_bytes()),
        ("variable", host.variable().as_bytes()),
    ];
    assert_eq!(exposure::find(&container, secrets.into_iter()), [""; 0]);

    let told = operator.terokctl_ok(&["cleanup", "--force", container.name()]);
    assert!(told.contains("3 borrowed credentials removed"), "{told}");
    for (client, script) in [("codex", CODEX), ("claude", CLAUDE), ("variable", lent)] {
        eventually(&format!("{client} is refused"), || container.shell_ok(script) == "401");
    }
    let listed = operator.terokctl_ok(&["vault", "list", "--json"]);
    assert!(!listed.contains("launch/"), "{listed}");
}

/// In socket mode the agent socket is among the mounted ones; in tcp mode it is all there is.
#[test]
fn an_image_without_a_bridge_has_an_agent_in_tcp_mode_too() {
    let Some(operator) = at_work() else { return };
    let words = ["run", "agent-tcp", "--mode", "tcp", "--ssh", "--scope", SCOPE, "--"];
    let podman = ["--detach", "--init", "--pull=never", IMAGE, "sleep", "900"];
    let printed = operator.terokctl_ok(&[&words[..], &podman].concat());
    let id = printed.lines().last().unwrap_or_default();
    let container = Container::known(&operator, "agent-tcp", id);
    let listed = operator.podman_ok(&["exec", container.name(), "ssh-add", "-L"]);
    assert_eq!(listed.lines().collect::<Vec<_>>(), operator.public_keys());
}

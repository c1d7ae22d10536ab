//! `terokctl vault import`, with files as the programs write them.

use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::machine::Machine;

const CLAUDE: &str = r#"{"claudeAiOauth":{"accessToken":"sk-ant-oat01-hunter2",
    "refreshToken":"sk-ant-ort01-hunter2","expiresAt":4000000000000,"scopes":["user:inference"],
    "subscriptionType":"max"}}"#;
const CODEX: &str = r#"{"OPENAI_API_KEY":null,"auth_mode":"chatgpt","tokens":{"id_token":"it",
    "access_token":"at-hunter2","refresh_token":"rt-hunter2","account_id":"acc"}}"#;
const GH: &str = "github.com:\n    oauth_token: gho_hunter2\n    user: me\n";
const GLAB: &str = "hosts:\n    gitlab.com:\n        token: !!null glpat-hunter2\n";

fn routes(machine: &Machine) -> Value {
    serde_json::from_str(&machine.read("vault/routes.json")).unwrap()
}

fn secret(machine: &Machine, provider: &str) -> Option<String> {
    let credential = machine.vault().credential("default", provider).unwrap()?;
    credential.secret().map(|secret| secret.expose().clone())
}

#[test]
fn each_programs_own_file_is_found_and_never_shown() {
    let machine = Machine::new();
    machine.write("home/.claude/.credentials.json", CLAUDE);
    machine.write("home/.codex/auth.json", CODEX);
    machine.write("home/.config/gh/hosts.yml", GH);
    machine.write("home/.config/glab-cli/config.yml", GLAB);
    for format in ["claude", "codex", "gh", "glab"] {
        let said = machine.say(&["vault", "import", format]).expect_success();
        assert!(said.out.contains("stored the credential for"), "{said:?}");
        assert!(!said.everything().contains("hunter2"), "{said:?}");
    }
    for (provider, value) in [
        ("anthropic", "sk-ant-oat01-hunter2"),
        ("openai", "at-hunter2"),
        ("github", "gho_hunter2"),
        ("gitlab", "glpat-hunter2"),
    ] {
        assert_eq!(secret(&machine, provider).as_deref(), Some(value), "{provider}");
    }
    let routes = routes(&machine);
    assert!(routes["anthropic"]["oauth_refresh"]["client_id"].is_string(), "{routes}");
    assert_eq!(routes["openai"]["oauth_credential_headers"]["ChatGPT-Account-ID"], "account_id");
    let list = machine.ok(&["vault", "list"]);
    assert!(list.contains("2096-10-02T07:06:40Z") && !list.contains("missing"), "{list}");
}

#[test]
fn a_login_without_its_refresh_token_is_not_renewed() {
    let machine = Machine::new();
    machine.write("login", CLAUDE);
    let taken = machine.say(&["vault", "import", "claude", "login"]).expect_success();
    assert!(taken.err.contains("will have to log in again"), "{taken:?}");
    let left = machine.say(&["vault", "import", "claude", "login", "--no-refresh"]);
    assert!(left.expect_success().err.is_empty());
    let stored = machine.vault().credential("default", "anthropic").unwrap().unwrap();
    assert!(stored.refresh_token().is_none());
    assert_eq!(machine.read("login"), CLAUDE);
}

#[test]
fn a_file_that_is_being_written_is_read_when_it_is_whole() {
    let machine = Machine::new();
    let path = machine.write("home/.codex/auth.json", &CODEX[..60]);
    thread::scope(|threads| {
        threads.spawn(|| {
            thread::sleep(Duration::from_millis(700));
            fs::write(&path, CODEX).unwrap();
        });
        machine.ok(&["vault", "import", "codex"]);
    });
    assert_eq!(secret(&machine, "openai").as_deref(), Some("at-hunter2"));
    fs::write(&path, &CODEX[..60]).unwrap();
    let said = machine.fails(&["vault", "import", "codex"], "not the JSON it should be", "");
    assert!(!said.err.contains("hunter2"));
}

#[test]
fn env_files_and_standard_input_are_read() {
    let machine = Machine::new();
    machine.write(".env", "export MISTRAL_API_KEY='m-1'\nGH_TOKEN=ghp_1\nOTHER=x\n");
    machine.ok(&["vault", "import", "env", ".env"]);
    let json = r#"{"openai":{"type":"api_key","key":"sk-1"}}"#;
    machine.with_input(&["vault", "import", "json", "-"], json).expect_success();
    for (provider, value) in [("mistral", "m-1"), ("github", "ghp_1"), ("openai", "sk-1")] {
        assert_eq!(secret(&machine, provider).as_deref(), Some(value), "{provider}");
    }
    machine.fails(&["vault", "import", "env"], "no file", "standard input");
    let twice = ["vault", "import", "json", "-", "--passphrase-file", "-"];
    assert!(machine.with_input(&twice, json).err.contains("at once"));
}

#[test]
fn of_several_credentials_all_are_stored_or_none() {
    let machine = Machine::new();
    for bad in [
        r#"{"openai":{"key":"k"},"mistral":{"key":"a\nb"}}"#,
        r#"{"openai":{"key":"k"},"unheard-of":{"key":"k"}}"#,
        r#"{"openai":{"key":"k"},"mistral":7}"#,
    ] {
        machine.write("some.json", bad);
        let said = machine.say(&["vault", "import", "json", "some.json"]);
        assert_eq!(said.status, 1, "{said:?}");
    }
    machine.write("some.json", r#"{"openai":{"key":"k"},"mistral":{"key":"k"}}"#);
    let one = ["vault", "import", "json", "some.json", "--provider", "openai"];
    machine.fails(&one, "nothing was stored", "");
    assert!(machine.vault().credentials().unwrap().is_empty());
    machine.ok(&["vault", "import", "json", "some.json", "--set", "work"]);
    assert_eq!(machine.vault().credentials().unwrap().len(), 2);
}

#[test]
fn another_host_becomes_another_provider() {
    let machine = Machine::new();
    machine.write("hosts.yml", "ghe.example:\n    oauth_token: gho_1\n");
    let words = ["vault", "import", "gh", "hosts.yml", "--host", "ghe.example"];
    machine.ok(&[&words[..], &["--provider", "work-github"]].concat());
    assert_eq!(routes(&machine)["work-github"]["upstream"], "https://ghe.example/api/v3");
    machine.fails(&["vault", "import", "gh", "hosts.yml"], "no token", "gh auth token");
    let bad = ["vault", "import", "gh", "hosts.yml", "--host", "a/b@c"];
    assert_eq!(machine.say(&bad).status, 2);
}

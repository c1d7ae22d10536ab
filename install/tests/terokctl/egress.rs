//! Credentials of the host for one launch: resolved, put into a set of the launch's own, phantoms to
//! the container, and everything gone with `cleanup`.

use std::fs;
use std::process::Stdio;
use std::thread::{self, sleep};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use vault_store::credential::{Credential, Kind};
use vault_store::token::TokenInfo;

use crate::machine::{Machine, Said, files_below, said};

/// What must be in the vault alone.
const REAL: &str = "real-value-of-the-host";
const REFRESH: &str = "real-refresh-token-of-the-host";
const SET: &str = "launch/web";
const FAR: i64 = 4_000_000_000;

fn jwt(end: i64) -> String {
    let claims = json!({
        "exp": end, "email": "me@example.org",
        "https://api.openai.com/auth": { "chatgpt_account_id": "acc-1", "chatgpt_plan_type": "pro" },
    });
    format!("e30.{}.{REAL}", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn codex(access_token: &str) -> String {
    json!({
        "OPENAI_API_KEY": null, "auth_mode": "chatgpt", "last_refresh": "2026-01-01T00:00:00Z",
        "tokens": { "id_token": "e30.e30.x", "access_token": access_token,
                    "refresh_token": REFRESH, "account_id": "acc-1" },
    })
    .to_string()
}

fn claude(end_in_milliseconds: i64) -> String {
    json!({ "claudeAiOauth": {
        "accessToken": format!("sk-ant-oat01-{REAL}"), "refreshToken": REFRESH,
        "expiresAt": end_in_milliseconds, "scopes": ["user:inference"], "subscriptionType": "max",
    }})
    .to_string()
}

/// `prepare web …` with variables of the host.
fn prepare(machine: &Machine, words: &[&str], variables: &[(&str, &str)]) -> Said {
    let mut command = machine.terokctl(&[&["prepare", "web"], words].concat());
    command.envs(variables.iter().copied());
    said(&mut command, "")
}

fn variable(machine: &Machine, name: &str) -> Option<String> {
    let text = machine.read("state/sidecar/web.env");
    text.lines().find_map(|line| line.strip_prefix(&format!("{name}="))).map(str::to_owned)
}

fn stored(machine: &Machine, provider: &str) -> Option<Credential> {
    machine.vault().credential(SET, provider).unwrap()
}

/// Everywhere but in the vault, and in what was said.
#[track_caller]
fn real_values_are_nowhere(machine: &Machine, said: &Said) {
    let home = machine.path("home");
    for (path, text) in files_below(&machine.path("")) {
        let real = text.contains(REAL) || text.contains(REFRESH);
        assert!(!real || path.starts_with(&home), "{}", path.display());
    }
    assert!(!said.everything().contains(REAL) && !said.everything().contains(REFRESH));
}

#[track_caller]
fn nothing_is_left(machine: &Machine) {
    assert!(machine.has_nothing_of("web"));
    let sets = machine.vault().credentials().unwrap();
    assert!(sets.iter().all(|name| name.credential_set != SET), "{sets:?}");
    if let Ok(mut files) = fs::read_dir(machine.path("state/sidecar")) {
        assert!(files.next().is_none());
    }
}

#[test]
fn variables_of_the_host_become_this_launchs_own_credentials() {
    let machine = Machine::furnished();
    let words = ["--token", "gitlab=MY_LAB", "--token", "anthropic=MY_CLAUDE"];
    let variables = [("MY_LAB", REAL), ("MY_CLAUDE", REAL)];
    let said = prepare(&machine, &words, &variables).expect_success();
    assert_eq!(stored(&machine, "gitlab").unwrap().secret().unwrap().expose(), REAL);
    let token = variable(&machine, "GITLAB_TOKEN").unwrap();
    assert!(token.starts_with("glpat-"), "{token}");
    assert_eq!(variable(&machine, "TEROK_GITLAB_TOKEN").unwrap(), token);
    let granted = machine.vault().token(&token).unwrap().unwrap();
    let expected = TokenInfo {
        scope: "default".into(),
        subject: "web".into(),
        credential_set: SET.into(),
        provider: "gitlab".into(),
    };
    assert_eq!(granted, expected);
    assert!(machine.read("vault/routes.json").contains("https://gitlab.com"));
    real_values_are_nowhere(&machine, &said);
    let told = machine.ok(&["cleanup", "web"]);
    assert!(told.contains("2 tokens revoked, 2 borrowed credentials removed"), "{told}");
    nothing_is_left(&machine);
    assert!(machine.vault().token(&token).unwrap().is_none());
    // The operator's own stays.
    assert!(machine.vault().credential("default", "github").unwrap().is_some());
}

#[test]
fn every_variable_that_is_unset_or_empty_is_named_before_anything_is_made() {
    let machine = Machine::furnished();
    let words = ["--token", "gitlab=A", "--token", "mistral=B", "--token", "sonarcloud=C"];
    let said = prepare(&machine, &words, &[("B", ""), ("C", REAL)]);
    assert_eq!(said.status, 1, "{said:?}");
    assert!(said.err.contains("variable A is not set, variable B is empty"), "{said:?}");
    assert!(said.err.contains("\nhint: export it"), "{said:?}");
    nothing_is_left(&machine);
    real_values_are_nowhere(&machine, &said);
}

#[test]
fn a_value_where_a_variables_name_belongs_is_refused_and_not_quoted() {
    let machine = Machine::bare();
    for value in ["sk-ant-hunter2", "ghp_hunter2hunter2hunter2hunter2hunt"] {
        let words = ["prepare", "web", "--token", &format!("github={value}")];
        let said = machine.fails(&words, "the name of a variable", "MY_GITHUB_TOKEN");
        assert!(!said.everything().contains("hunter2"), "{said:?}");
    }
}

#[test]
fn a_provider_that_is_asked_for_twice_is_refused() {
    let machine = Machine::furnished();
    for words in [
        &["--provider", "github", "--token", "github=A"][..],
        &["--token", "gitlab=A", "--token", "gitlab=B"],
    ] {
        let said = prepare(&machine, words, &[("A", "a"), ("B", "b")]);
        assert_eq!(said.status, 1, "{said:?}");
        assert!(said.err.contains("hint: "), "{said:?}");
        nothing_is_left(&machine);
    }
    let said = prepare(&machine, &["--token", "unheard=A"], &[("A", "a")]);
    assert!(said.err.contains("vault add unheard --upstream URL"), "{said:?}");
    nothing_is_left(&machine);
}

#[test]
fn codexs_login_is_lent_without_its_refresh_token_and_with_a_file_for_its_client() {
    let machine = Machine::new();
    machine.write("home/.codex/auth.json", &codex(&jwt(FAR)));
    let words = ["--forward-host-credentials", "codex", "--dummy-auth-file=/home/agent"];
    // A variable of that name on the host is overlaid by the login.
    let variables = [("CODEX_HOST_CREDENTIAL_TOKEN_REF", "another value")];
    let said = prepare(&machine, &words, &variables).expect_success();

    let lent = stored(&machine, "openai").unwrap();
    assert_eq!((lent.kind(), lent.expires_at()), (Kind::OAuth, Some(FAR)));
    assert_eq!(lent.secret().unwrap().expose(), &jwt(FAR));
    assert!(lent.refresh_token().is_none() && lent.member("id_token").is_none());

    let here = machine.path("state/sidecar/web.codex-auth");
    let mount = format!("--volume={}:/home/agent/.codex/auth.json:ro", here.display());
    assert!(said.out.lines().any(|line| line == mount), "{said:?}");
    assert_eq!(machine.mode("state/sidecar/web.codex-auth"), 0o600);
    let file: Value = serde_json::from_slice(&fs::read(&here).unwrap()).unwrap();
    let phantom = file["tokens"]["access_token"].as_str().unwrap();
    let claims = BASE64_URL_SAFE_NO_PAD.decode(phantom.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["exp"], FAR);
    assert_eq!(claims["https://api.openai.com/auth"]["chatgpt_account_id"], "acc-1");
    assert_eq!(machine.vault().token(phantom).unwrap().unwrap().credential_set, SET);
    // The client reads its file, and nothing else contradicts it.
    assert!(variable(&machine, "OPENAI_API_KEY").is_none());
    assert_eq!(variable(&machine, "TEROK_OPENAI_TOKEN").as_deref(), Some(phantom));
    let routes: Value = serde_json::from_str(&machine.read("vault/routes.json")).unwrap();
    assert!(routes["openai"].get("oauth_refresh").is_none());
    assert!(routes["openai"]["oauth_credential_headers"].is_object());

    real_values_are_nowhere(&machine, &said);
    machine.ok(&["cleanup", "web"]);
    nothing_is_left(&machine);
    // The host's own login is as it was.
    assert_eq!(machine.read("home/.codex/auth.json"), codex(&jwt(FAR)));
}

#[test]
fn claudes_login_is_lent_with_the_static_marker_in_its_clients_file() {
    let machine = Machine::new();
    machine.write("home/.claude/.credentials.json", &claude(FAR * 1000));
    let words = ["--forward-host-credentials", "claude", "--dummy-auth-file"];
    let said = prepare(&machine, &words, &[]).expect_success();
    assert!(stored(&machine, "anthropic").unwrap().refresh_token().is_none());
    assert!(said.out.contains(":/root/.claude/.credentials.json:ro"), "{said:?}");
    let file: Value = serde_json::from_str(&machine.read("state/sidecar/web.claude-auth")).unwrap();
    let login = &file["claudeAiOauth"];
    assert_eq!(login["accessToken"], "terok-proxy-phantom-token:vault-handles-real-auth");
    assert_eq!(
        (&login["expiresAt"], &login["subscriptionType"]),
        (&json!(FAR * 1000), &json!("max"))
    );
    // The marker stands for this launch's phantom, and for nothing in other sets.
    let sidecar: Value = serde_json::from_str(&machine.read("state/sidecar/web.json")).unwrap();
    let token = variable(&machine, "TEROK_ANTHROPIC_TOKEN").unwrap();
    assert!(token.starts_with("sk-ant-oat01-"), "{token}");
    assert_eq!(sidecar["marker_tokens"], json!({ "anthropic": token }));
    assert_eq!(sidecar["static_markers"], false);
    assert!(variable(&machine, "ANTHROPIC_AUTH_TOKEN").is_none());
    real_values_are_nowhere(&machine, &said);
    machine.ok(&["cleanup", "web"]);
    nothing_is_left(&machine);
}

#[test]
fn ghs_token_is_lent() {
    let machine = Machine::new();
    let hosts = format!("github.com:\n    user: me\n    oauth_token: {REAL}\n");
    machine.write("home/.config/gh/hosts.yml", &hosts);
    let said = prepare(&machine, &["--forward-host-credentials", "gh"], &[]).expect_success();
    assert_eq!(stored(&machine, "github").unwrap().secret().unwrap().expose(), REAL);
    assert!(variable(&machine, "GH_TOKEN").unwrap().starts_with("ghp_"));
    real_values_are_nowhere(&machine, &said);
    machine.ok(&["cleanup", "web"]);
    nothing_is_left(&machine);
}

#[test]
fn logins_that_cannot_be_lent_are_explained() {
    let machine = Machine::new();
    let forward = |program: &str| prepare(&machine, &["--forward-host-credentials", program], &[]);
    for (program, file, content, what, hint) in [
        ("codex", ".codex/auth.json", None, "is not there", "`codex login`"),
        (
            "codex",
            ".codex/auth.json",
            Some(json!({ "auth_mode": "apikey", "OPENAI_API_KEY": REAL }).to_string()),
            "an API key, not a login",
            "--token openai=VARIABLE",
        ),
        ("codex", ".codex/auth.json", Some(codex(&jwt(1000))), "has expired", "`codex login`"),
        ("codex", ".codex/auth.json", Some(codex("no-token-at-all")), "malformed", "codex login"),
        ("codex", ".codex/auth.json", Some("{}".to_owned()), "neither a login", "codex login"),
        ("claude", ".claude/.credentials.json", None, "is not there", "`claude`"),
        ("claude", ".claude/.credentials.json", Some(claude(1000)), "has expired", "`claude`"),
        ("gh", ".config/gh/hosts.yml", None, "is not there", "`gh auth login`"),
    ] {
        if let Some(content) = &content {
            machine.write(&format!("home/{file}"), content);
        }
        let said = forward(program);
        assert_eq!(said.status, 1, "{program} {content:?}: {said:?}");
        let (first, second) = said.err.split_once("\nhint: ").unwrap_or_else(|| panic!("{said:?}"));
        assert!(first.contains(what) && second.contains(hint), "{said:?}");
        nothing_is_left(&machine);
        real_values_are_nowhere(&machine, &said);
    }
}

#[test]
fn a_login_that_is_just_being_written_is_read_when_it_is_whole() {
    let machine = Machine::new();
    let whole = codex(&jwt(FAR));
    let path = machine.write("home/.codex/auth.json", &whole[..whole.len() / 2]);
    let writer = thread::spawn(move || {
        sleep(Duration::from_millis(300));
        fs::write(path, whole).unwrap();
    });
    prepare(&machine, &["--forward-host-credentials", "codex"], &[]).expect_success();
    writer.join().unwrap();
    assert_eq!(stored(&machine, "openai").unwrap().expires_at(), Some(FAR));
}

#[test]
fn a_file_that_no_client_wants_is_not_made_up() {
    let machine = Machine::furnished();
    machine.fails(
        &["prepare", "web", "--provider", "github", "--dummy-auth-file"],
        "no client of these credentials",
        "--dummy-auth-file",
    );
    nothing_is_left(&machine);
}

#[test]
fn a_launch_that_fails_takes_back_what_it_borrowed() {
    let machine = Machine::new();
    // Nothing can be renamed over a directory.
    fs::create_dir_all(machine.path("state/sidecar/web.env")).unwrap();
    let said = prepare(&machine, &["--token", "gitlab=A"], &[("A", REAL)]);
    assert!(said.status == 1 && said.err.contains("web.env"), "{said:?}");
    fs::remove_dir(machine.path("state/sidecar/web.env")).unwrap();
    nothing_is_left(&machine);
}

#[test]
fn a_launch_that_was_killed_half_way_is_found_and_cleaned_up() {
    let machine = Machine::furnished();
    prepare(&machine, &["--token", "gitlab=A"], &[("A", REAL)]).expect_success();
    let note = machine.say(&["doctor"]).everything();
    assert!(note.contains("web does not run; what it borrowed for gitlab"), "{note}");
    // As when its last file is lost: nobody can tell cleanup any more where to look.
    fs::remove_file(machine.path("state/sidecar/web.json")).unwrap();
    let found = machine.say(&["doctor"]).everything();
    assert!(found.contains("what web borrowed for gitlab is in the vault without"), "{found}");
    let mended = machine.say(&["doctor", "--fix"]).everything();
    assert!(mended.contains("1 token revoked, 1 credential removed"), "{mended}");
    assert!(stored(&machine, "gitlab").is_none());
    assert!(machine.tokens().iter().all(|token| token.subject != "web"));
    assert!(!machine.say(&["doctor"]).everything().contains("borrowed"));
}

#[test]
fn podman_sees_neither_the_values_nor_the_variables_they_were_in() {
    let machine = Machine::new();
    machine.program("podman", "#!/bin/sh\nprintf '%s\\n' \"$@\" > argv\nenv > environment\n");
    let words = ["run", "web", "--token", "gitlab=GITLAB_TOKEN", "--token", "mistral=MY_KEY", "--"];
    let mut command = machine.terokctl(&[&words[..], &["image"]].concat());
    command.env("GITLAB_TOKEN", REAL).env("MY_KEY", REAL);
    let said = said(&mut command, "").expect_success();
    real_values_are_nowhere(&machine, &said);
    let environment = machine.read("environment");
    assert!(environment.contains("GITLAB_TOKEN=glpat-") && !environment.contains("MY_KEY"));
    machine.ok(&["cleanup", "web"]);
}

#[test]
fn keys_of_a_named_scope_come_along_where_no_bridge_is_needed() {
    let machine = Machine::furnished();
    let sidecar = |words: &[&str]| -> Value {
        machine.ok(&[&["prepare", "web"], words].concat());
        let json = serde_json::from_str(&machine.read("state/sidecar/web.json")).unwrap();
        machine.ok(&["cleanup", "web"]);
        json
    };
    for (words, has_keys) in [
        (&["--loopback", "--scope", "app"][..], true),
        (&["--loopback", "--scope", "app", "--no-ssh"], false),
        (&["--loopback", "--scope", "none"], false),
        (&["--loopback"], false),
        (&["--scope", "app"], false),
        (&["--scope", "app", "--ssh", "--mode", "tcp"], true),
    ] {
        let sidecar = sidecar(words);
        assert_eq!(sidecar.get("ssh_token").is_some(), has_keys, "{words:?}");
        assert_eq!(sidecar.get("agent_socket").is_some(), has_keys, "{words:?}");
    }
}

/// What was borrowed and is usable has a sidecar, by which cleanup finds it.
#[track_caller]
fn nothing_lives_without_a_sidecar(machine: &Machine) {
    let lives = stored(machine, "gitlab").is_some() || !machine.tokens().is_empty();
    assert!(!lives || machine.path("state/sidecar/web.json").exists());
}

#[test]
fn killed_at_any_moment_a_launch_or_a_cleanup_leaves_nothing_live_that_is_not_found() {
    let machine = Machine::new();
    for moment in [80, 300, 600] {
        for words in [&["prepare", "web", "--token", "gitlab=A"][..], &["cleanup", "web"]] {
            let mut command = machine.terokctl(words);
            let mut running = command.env("A", REAL).stdout(Stdio::null()).spawn().unwrap();
            sleep(Duration::from_millis(moment));
            running.kill().unwrap();
            running.wait().unwrap();
            nothing_lives_without_a_sidecar(&machine);
        }
        machine.ok(&["cleanup", "web"]);
        assert!(machine.has_nothing_of("web") && stored(&machine, "gitlab").is_none());
    }
}

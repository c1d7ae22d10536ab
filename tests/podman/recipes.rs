//! The recipes that need an agent's program: typed as they are written, on a machine where Codex,
//! Claude Code and gh are logged in. Upstream sees the credential of each.
//!
//! The other recipes are typed with all documents.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;
use terok_tests::document::Document;

use crate::container;
use crate::operator::{self, Operator};
use crate::session::{CREDENTIAL, Session};

const IMAGE: &str = "localhost/terok-test:agents";
const GH: &str = "/usr/bin/gh";
/// For machines without the real one: as it is configured, so it asks.
const GH_SHAPED: &str = "#!/bin/sh
[ \"$1\" = api ] || exit 0
exec curl -sS --unix-socket \"$TEROK_VAULT_SOCKET\" -H \"Authorization: token $GH_TOKEN\" \\
    http://api.github.com/user
";
const CLAUDE_LOGIN: &str = "sk-ant-oat01-7c1e93ab0de5f482";
const CLAUDE_TOKEN: &str = "sk-ant-oat01-20c4f7d18b9e6a35";
const GH_LOGIN: &str = "gho_3f9d0b1c8e7a6254";
const GH_TOKEN: &str = "ghp_5b0e2f7c9d8a1643";

fn codex_login() -> String {
    let claims = json!({ "exp": 4_000_000_000_i64 }).to_string();
    format!("e30.{}.bm9ib2R5LXNpZ25lZC1pdC05MWMz", BASE64_URL_SAFE_NO_PAD.encode(claims))
}

fn log_in(home: &Path) {
    let codex = json!({ "auth_mode": "chatgpt", "tokens": {
        "id_token": "e30.e30.x", "access_token": codex_login(), "refresh_token": "r",
        "account_id": "acc" } });
    let claude = json!({ "claudeAiOauth": {
        "accessToken": CLAUDE_LOGIN, "refreshToken": "r", "expiresAt": 4_000_000_000_000_i64 } });
    for (directory, file, text) in [
        (".codex", "auth.json", codex.to_string()),
        (".claude", ".credentials.json", claude.to_string()),
        (".config/gh", "hosts.yml", format!("github.com:\n    oauth_token: {GH_LOGIN}\n")),
    ] {
        fs::create_dir_all(home.join(directory)).unwrap();
        fs::write(home.join(directory).join(file), text).unwrap();
    }
}

/// The suite's image with the agents' programs, under the name that documents use.
struct Agents<'o>(&'o Operator);

impl<'o> Agents<'o> {
    fn image(operator: &'o Operator, session: &Session<'_>) -> Self {
        let made = "terok-agents";
        operator.podman_ok(&["create", "--pull=never", "--name", made, container::IMAGE, "true"]);
        let image = Self(operator);
        let give = |name: &str, script: &str| {
            let file = session.home().join(name);
            fs::write(&file, script).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(&file, mode).unwrap();
            let to = format!("{made}:/usr/local/bin/{name}");
            operator.podman_ok(&["cp", file.to_str().unwrap(), &to]);
            fs::remove_file(file).unwrap();
        };
        give("codex", include_str!("agents/codex"));
        give("claude", include_str!("agents/claude"));
        if Path::new(GH).exists() {
            operator.podman_ok(&["cp", GH, &format!("{made}:/usr/local/bin/gh")]);
        } else {
            println!("no {GH}: a script in its place");
            give("gh", GH_SHAPED);
        }
        operator.podman_ok(&["commit", "--quiet", made, IMAGE]);
        operator.podman_ok(&["rm", made]);
        operator.podman_ok(&["tag", IMAGE, "localhost/agent"]);
        image
    }
}

impl Drop for Agents<'_> {
    fn drop(&mut self) {
        self.0.podman(&["rm", "--force", "--ignore", "terok-agents"]);
        self.0.podman(&["rmi", "--force", IMAGE, "localhost/agent"]);
    }
}

#[test]
fn agents_use_what_each_recipe_lends_them() {
    let Some(operator) = operator::alone() else { return };
    let session = Session::new(&operator);
    let _image = Agents::image(&operator, &session);
    log_in(session.home());
    session.ok("terokctl setup\nterokctl vault init");

    let path = session.installed().join("share/doc/terok/docs/recipes.md");
    let blocks = Document::read(path).blocks();
    let recipes: Vec<_> = blocks.iter().filter(|block| block.attributes == "agents").collect();
    assert!(recipes.len() >= 8, "{}", recipes.len());
    let mut seen = 0;
    for recipe in recipes {
        let variables =
            format!("export MY_CLAUDE_TOKEN={CLAUDE_TOKEN} MY_GITHUB_TOKEN={GH_TOKEN}\n");
        let shown = session.ok(&(variables + &recipe.text));
        let name = recipe.text.split_once("terokctl run ").expect("a recipe runs something").1;
        let name = name.split_once(' ').expect("its name has words behind it").0;
        let codex = codex_login();
        let credential = match name {
            "claude-lent" | "claude-kept" => CLAUDE_LOGIN,
            "claude-token" => CLAUDE_TOKEN,
            "codex-lent" => &codex,
            "gh-lent" => GH_LOGIN,
            "gh-token" => GH_TOKEN,
            _ => CREDENTIAL,
        };
        let requests = session.upstream().seen();
        let with_credential = |request: &&String| request.contains(credential);
        assert!(requests[seen..].iter().any(|r| with_credential(&r)), "{name}: {shown}");
        assert!(!shown.contains(credential), "{name}: {shown}");
        seen = requests.len();
    }
    let listed = session.ok("terokctl vault list --json; terokctl vault token list --json");
    assert!(!listed.contains("launch/") && !listed.contains("subject"), "{listed}");
}

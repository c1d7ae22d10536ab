//! Every shell block of the documents does what it says: each document is typed, from top to
//! bottom, by somebody at a terminal.

use terok_tests::document::Document;

use crate::debian::Debian;
use crate::github::{self, Github};
use crate::operator::{self, Operator};
use crate::session::Session;

/// Documents that start from nothing. All others speak of a container `web` that runs.
const FROM_NOTHING: [&str; 2] = ["README.md", "tutorial.md"];

const RUNTIME: &str = "crun";

/// What has happened before: setup, a vault with credentials and a key, a container with everything.
const BEFORE: &str = "\
terokctl setup
terokctl vault init
terokctl vault add anthropic
terokctl vault add github
terokctl ssh generate --scope web
terokctl run web --project web --provider anthropic --provider github --ssh --gate --init-mirror \\
    --loopback -- --detach --pull=never --network=none localhost/agent sleep 900
";

/// What the gate's document mirrors.
const UPSTREAM: &str = "\
git init --quiet --initial-branch main work
git -C work -c user.name=Me -c user.email=me@localhost commit --quiet --allow-empty --message first
git clone --quiet --bare work upstream.git
";

#[track_caller]
fn plays(name: &str) {
    let Some(operator) = operator::alone() else { return };
    // What a document says does not depend on the runtime; with one of them it is said often enough.
    if operator.runtime() == RUNTIME {
        play(&operator, name);
    }
}

fn play(operator: &Operator, name: &str) {
    let session = Session::new(operator);
    let root = session.installed().join("share/doc/terok");
    let documents = Document::all_below(&root);
    let document = documents.iter().find(|document| document.name() == name);
    let document = document.unwrap_or_else(|| panic!("{name} is not installed"));
    if !FROM_NOTHING.contains(&name) {
        session.ok(BEFORE);
    }
    if name == "gate.md" {
        session.ok(UPSTREAM);
    }
    let _debian = (name == "tutorial.md").then(|| Debian::without_agent(operator));
    let mut github = None;
    for block in document.blocks().into_iter().filter(|block| block.language == "sh") {
        let expected = match block.attributes.as_str() {
            "" => 0,
            github::ATTRIBUTE => {
                github = github.or_else(|| Github::start(&session));
                if github.is_none() {
                    continue;
                }
                github::status_after(&block.text)
            }
            _ => continue,
        };
        let played = session.play(&block.text);
        let (line, text) = (block.line, played.text);
        println!("{name}:{line}:\n{text}");
        assert_eq!(played.status, expected, "{name}:{line}:\n{}\n{text}", block.text);
    }
    if let Some(github) = github {
        assert_eq!(github.asked(), "a shell\ngit-upload-pack 'me/web.git'\n");
    }
}

/// A test for each document, so that a failure names it; `documents_with_commands` in the tests of
/// `tests/docs` keeps the list complete.
macro_rules! documents {
    ($($test:ident: $name:literal),+ $(,)?) => {
        $(#[test]
        fn $test() {
            plays($name);
        })+
    };
}

documents! {
    the_readmes_commands_work: "README.md",
    the_tutorials_commands_work: "tutorial.md",
    the_recipes_commands_work: "recipes.md",
    the_commands_of_operations_work: "operations.md",
    the_commands_of_the_vaults_document_work: "vault.md",
    the_commands_of_the_gates_document_work: "gate.md",
    the_policies_hold: "policies.md",
    the_commands_of_troubleshooting_work: "troubleshooting.md",
    the_commands_of_configuration_work: "configuration.md",
}

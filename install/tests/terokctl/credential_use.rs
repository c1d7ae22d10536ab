//! `terokctl audit`, tokens in a provider's form, and logins that can no longer be renewed.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use terok_shared::token::Form;
use vault_store::credential::{Credential, CredentialName};
use vault_store::refresh::TokenDigest;

use crate::machine::Machine;

fn line(time: &str, subject: &str, outcome: &str) -> String {
    format!(
        r#"{{"ts":"{time}+00:00","scope":"app","subject":"{subject}","credential_set":"default","provider":"github","method":"GET","path":"/user","status":200,"outcome":"{outcome}","duration_ms":3}}"#
    )
}

fn with_lines(machine: &Machine) {
    let lines = [
        line("2026-01-02T03:04:05", "web", "ok"),
        line("2026-01-02T03:04:06", "web", "ok"),
        "{\"ts\":\"2026-01-0".to_owned(),
        line("2026-01-02T03:04:07", "db", "wrong_scope"),
    ];
    machine.write("vault/credential_audit.jsonl", &(lines.join("\n") + "\n"));
}

#[test]
fn the_audit_counts_by_container_and_outcome_refusals_first() {
    let machine = Machine::bare();
    with_lines(&machine);
    let told = machine.ok(&["audit"]);
    let rows: Vec<Vec<&str>> =
        told.lines().skip(1).map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 2, "{told}");
    assert_eq!(rows[0][..5], ["db", "github", "default", "wrong_scope", "1"]);
    assert_eq!(rows[1][..5], ["web", "github", "default", "ok", "2"]);
    let later = machine.ok(&["audit", "--since", "2026-01-02T03:04:06Z", "--json"]);
    assert_eq!(later.lines().count(), 2, "{later}");
    let web = machine.ok(&["audit", "--container", "web", "--json"]);
    assert!(web.lines().all(|line| line.contains(r#""subject":"web""#)), "{web}");
    assert!(machine.say(&["audit", "--since", "1h"]).err.contains("nothing in the audit"));
}

#[test]
fn a_machine_without_an_audit_says_so() {
    let said = Machine::bare().say(&["audit"]);
    assert_eq!((said.status, said.out.as_str()), (0, ""));
    assert!(said.err.contains("no audit yet"), "{said:?}");
}

#[test]
fn the_audit_can_be_followed_through_a_rotation() {
    let machine = Machine::new();
    let mut command = machine.terokctl(&["audit", "--follow", "--json", "--container", "new"]);
    let mut following = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || told.next().unwrap().unwrap();
    // Said when following has begun.
    let mut remark = String::new();
    BufReader::new(following.stderr.take().unwrap()).read_line(&mut remark).unwrap();
    assert_eq!(remark, "no audit yet\n");
    let append = |text: &str| {
        let path = machine.path("vault/credential_audit.jsonl");
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        writeln!(file, "{text}").unwrap();
    };
    append(&line("2026-01-02T03:05:00", "new", "ok"));
    assert!(next().contains("03:05:00"));
    let audit = machine.path("vault/credential_audit.jsonl");
    let mut running = OpenOptions::new().append(true).open(&audit).unwrap();
    std::fs::rename(&audit, machine.path("vault/credential_audit.jsonl.1")).unwrap();
    append(&line("2026-01-02T03:06:00", "new", "ok"));
    assert!(next().contains("03:06:00"));
    writeln!(running, "{}", line("2026-01-02T03:07:00", "new", "ok")).unwrap();
    assert!(next().contains("03:07:00"), "of a container that runs on with the renamed file");
    let both = machine.ok(&["audit", "--json", "--container", "new"]);
    assert_eq!(both.lines().count(), 3, "{both}");
    following.kill().unwrap();
    following.wait().unwrap();
}

#[test]
fn a_token_can_have_its_providers_form() {
    let machine = Machine::furnished();
    let mint = ["vault", "token", "mint", "github", "--scope", "app", "--like", "github"];
    let token = machine.ok(&mint).trim().to_owned();
    assert!(token.starts_with("ghp_") && token.len() == 40, "{token}");
    assert_eq!(machine.vault().token(&token).unwrap().unwrap().provider, "github");
    assert!(machine.ok(&mint[..6]).starts_with("terok-p-"), "the plain form is the default");
    let formed = |provider| {
        let mint = ["vault", "token", "mint", "github", "--like", provider];
        machine.ok(&mint).trim().to_owned()
    };
    for provider in Form::providers() {
        let (one, other) = (formed(provider), formed(provider));
        assert_ne!(one, other, "{provider}");
        for token in [one, other] {
            assert_eq!(machine.vault().token(&token).unwrap().unwrap().provider, "github");
        }
    }
    let unknown = machine.say(&["vault", "token", "mint", "github", "--like", "nobody"]);
    assert_eq!(unknown.status, 2, "{unknown:?}");
    assert!(unknown.err.contains("anthropic, github"), "{unknown:?}");
}

#[test]
fn a_login_that_can_no_longer_be_renewed_is_listed_as_such() {
    let machine = Machine::new();
    let mut vault = machine.vault();
    let login = r#"{"type":"oauth","access_token":"a","refresh_token":"r","expires_at":1}"#;
    vault.put_credential("default", "openai", &Credential::parse(login).unwrap()).unwrap();
    let name = CredentialName { credential_set: "default".into(), provider: "openai".into() };
    let digest = TokenDigest::of(&"r".to_owned().into());
    vault.refuse_refresh(&name, &digest, "refresh_token_reused", 5).unwrap();
    let said = machine.say(&["vault", "list"]);
    assert!(said.out.contains("renewal refused: refresh_token_reused"), "{said:?}");
    assert!(said.err.contains("hint: log in anew"), "{said:?}");
    assert!(machine.ok(&["vault", "list", "--json"]).contains("refresh_token_reused"));
}

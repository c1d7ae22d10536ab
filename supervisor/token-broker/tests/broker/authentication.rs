//! Who gets through, and the exact words for those who do not.

use crate::harness::{Broker, REAL, Scripted, TOKEN, Upstream};
use terok_shared::token::Form;
use vault_grant::{CredentialProblem, Notice, Refusal, TokenInfo};

fn with_headers(broker: &Broker, headers: &str) -> (u16, String) {
    let response = broker.connect().raw(&format!("GET /x HTTP/1.1\r\nHost: h\r\n{headers}\r\n"));
    (response.status, response.text().to_owned())
}

#[test]
fn a_token_in_any_of_the_three_headers_is_swapped() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    for header in [
        format!("Authorization: Bearer {TOKEN}"),
        format!("authorization: token {TOKEN}"),
        format!("Authorization: {TOKEN}"),
        format!("X-Api-Key: {TOKEN}"),
        format!("PRIVATE-TOKEN: {TOKEN}"),
    ] {
        let (status, _) = with_headers(&broker, &format!("{header}\r\n"));
        assert_eq!(status, 200, "{header}");
        let request = upstream.request();
        assert_eq!(request.headers("authorization"), [format!("Bearer {REAL}")]);
        assert!(!format!("{request:?}").contains(TOKEN));
    }
}

#[test]
fn each_refusal_has_its_status_phrase_and_outcome() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    let elsewhere = TokenInfo { scope: "other".into(), ..TokenInfo::default() };
    let problem = |problem| Scripted::Problem { provider: "p", problem };
    broker.keeper.say("missing", problem(CredentialProblem::Missing));
    broker.keeper.say("broken", problem(CredentialProblem::Misconfigured));
    broker.keeper.say("unprintable", Scripted::Key { provider: "p", value: "a\nb".into() });
    broker.keeper.say("unrouted", Scripted::Key { provider: "nowhere", value: REAL.into() });
    broker.keeper.say("other", Scripted::Refusal(Refusal::WrongScope(elsewhere)));
    broker.keeper.say("ssh", Scripted::Refusal(Refusal::WrongProvider));
    broker.keeper.say("locked", Scripted::Refusal(Refusal::Locked));
    let cases = [
        ("", 401, "Missing authentication", "missing_token"),
        ("Authorization: Bearer unknown\r\n", 401, "Invalid token", "invalid_token"),
        (
            "Authorization: Bearer other\r\n",
            403,
            "Token not valid for this container",
            "wrong_scope",
        ),
        ("Authorization: Bearer unrouted\r\n", 404, "No route for provider: nowhere", "no_route"),
        ("Authorization: Bearer ssh\r\n", 404, "No route for provider: ssh", "no_route"),
        (
            "Authorization: Bearer missing\r\n",
            502,
            "Credential not configured for this provider",
            "credential_missing",
        ),
        (
            "Authorization: Bearer broken\r\n",
            502,
            "Credential misconfigured",
            "credential_misconfigured",
        ),
        (
            "Authorization: Bearer unprintable\r\n",
            502,
            "Credential misconfigured",
            "credential_misconfigured",
        ),
        ("Authorization: Bearer locked\r\n", 503, "Vault is locked", "vault_locked"),
    ];
    for (headers, status, phrase, _) in &cases {
        assert_eq!(with_headers(&broker, headers), (*status, (*phrase).to_owned()), "{headers}");
    }
    assert!(upstream.saw_nothing());
    let audit = broker.audit(cases.len());
    for (line, (_, status, _, outcome)) in audit.iter().zip(&cases) {
        assert_eq!((&line["status"], &line["outcome"]), (&(*status).into(), &(*outcome).into()));
    }
    assert_eq!(audit[2]["scope"], "other");
}

#[test]
fn health_needs_no_token_and_leaves_no_line() {
    let broker = Broker::start("{}");
    let response = broker.connect().raw("GET /-/health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((response.status, response.text()), (200, r#"{"status":"ok"}"#));
    assert_eq!(response.header("content-type"), Some("application/json"));
    let (status, _) = with_headers(&broker, "");
    assert_eq!(status, 401);
    assert_eq!(broker.audit(1).len(), 1);
}

#[test]
fn a_waiting_question_is_answered_when_the_vault_locks() {
    let broker = Broker::start("{}");
    broker.keeper.say("slow", Scripted::Silence);
    let mut client = broker.connect();
    client.write(b"GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer slow\r\n\r\n");
    crate::harness::eventually("the question", || broker.keeper.asked() == 1);
    broker.keeper.notify(Notice::Locked);
    let response = client.response("GET");
    assert_eq!((response.status, response.text()), (503, "Vault is locked"));
}

#[test]
fn a_token_in_any_providers_form_is_a_token() {
    let upstream = Upstream::plain();
    let broker = Broker::to(&upstream);
    for provider in Form::providers() {
        let token = Form::of(provider).unwrap().mint().unwrap().expose().clone();
        broker.keeper.say(&token, Scripted::Key { provider: "p", value: REAL.into() });
        for header in ["Authorization: Bearer", "x-api-key:", "private-token:"] {
            let (status, _) = with_headers(&broker, &format!("{header} {token}\r\n"));
            assert_eq!(status, 200, "{provider} in {header}");
            assert_eq!(
                upstream.request().header("authorization").unwrap(),
                format!("Bearer {REAL}")
            );
        }
    }
}

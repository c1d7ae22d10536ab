use super::*;
use vault_grant::Route;
use vault_grant::ssh_wire::put_string;
use vault_store::credential::KeyType;
use vault_store::scope::{Comment, ScopeName};
use vault_store::ssh_key::KeyKind;
use vault_store::ssh_key::generate::generate;
use vault_store::ssh_key::rules::Rule;

struct House {
    _dir: tempfile::TempDir,
    answerer: Answerer,
    broker_token: String,
    ssh_token: String,
}

fn mint(vault: &mut Vault, provider: &str) -> String {
    let info = vault_store::token::TokenInfo {
        scope: "proj".into(),
        subject: "web".into(),
        credential_set: "default".into(),
        provider: provider.into(),
    };
    vault.mint_token(&info).unwrap().expose().clone()
}

fn house(limits: TokenLimits) -> House {
    let dir = tempfile::tempdir().unwrap();
    let passphrase = Secret::from("p".to_owned());
    let mut vault = Vault::create(&dir.path().join("credentials.db"), &passphrase).unwrap();
    let key =
        vault_store::credential::Credential::key(KeyType::ApiKey, &Secret::from("real".to_owned()));
    vault.put_credential("default", "anthropic", &key).unwrap();
    let pair = generate(KeyKind::Ed25519, Comment::parse("deploy").unwrap()).unwrap();
    vault.add_ssh_key(&ScopeName::parse("proj").unwrap(), &pair).unwrap();
    let broker_token = mint(&mut vault, "anthropic");
    let ssh_token = mint(&mut vault, SSH);
    House { _dir: dir, answerer: Answerer::new(vault, limits), broker_token, ssh_token }
}

fn open() -> TokenLimits {
    TokenLimits { static_markers: true, ..TokenLimits::default() }
}

fn grant(house: &mut House, token: &str) -> Result<Grant, Refusal> {
    let token = Secret::from(token.to_owned());
    match house.answerer.answer(Role::Broker, Question::Grant { token }) {
        Answer::Grant(grant) => Ok(grant),
        Answer::Refused(refusal) => Err(refusal),
        _ => panic!("another answer"),
    }
}

fn identities(house: &mut House, token: &str) -> Result<Vec<Identity>, Refusal> {
    let token = Secret::from(token.to_owned());
    match house.answerer.answer(Role::Signer, Question::Identities { token }) {
        Answer::Identities(identities) => Ok(identities),
        Answer::Refused(refusal) => Err(refusal),
        _ => panic!("another answer"),
    }
}

#[test]
fn a_token_grants_its_own_credential() {
    let mut house = house(open());
    let token = house.broker_token.clone();
    let grant = grant(&mut house, &token).unwrap();
    assert_eq!(grant.token.provider, "anthropic");
    assert_eq!(grant.credential.ok().unwrap().value.expose(), "real");
}

#[test]
fn an_unknown_or_revoked_token_grants_nothing() {
    let mut house = house(open());
    assert_eq!(grant(&mut house, "terok-p-0").err(), Some(Refusal::UnknownToken));
    let token = house.broker_token.clone();
    house.answerer.vault.revoke_token(&token).unwrap();
    assert_eq!(grant(&mut house, &token).err(), Some(Refusal::UnknownToken));
}

#[test]
fn a_token_of_another_scope_or_container_is_refused() {
    for limits in [
        TokenLimits { scope_id: "other".into(), ..open() },
        TokenLimits { token_subject: Some("other".into()), ..open() },
    ] {
        let mut house = house(limits);
        let (broker, ssh) = (house.broker_token.clone(), house.ssh_token.clone());
        assert!(matches!(grant(&mut house, &broker), Err(Refusal::WrongScope(_))));
        assert!(matches!(identities(&mut house, &ssh), Err(Refusal::WrongScope(_))));
    }
    let own = TokenLimits { scope_id: "proj".into(), token_subject: Some("web".into()), ..open() };
    let mut house = house(own);
    let token = house.broker_token.clone();
    assert!(grant(&mut house, &token).is_ok());
}

#[test]
fn a_static_marker_grants_the_default_credential_unless_refused() {
    let (marker, provider) = STATIC_MARKERS[0];
    let mut open_house = house(TokenLimits { scope_id: "elsewhere".into(), ..open() });
    assert_eq!(grant(&mut open_house, marker).unwrap().token.provider, provider);
    let mut strict = house(TokenLimits::default());
    assert_eq!(grant(&mut strict, marker).err(), Some(Refusal::UnknownToken));
}

#[test]
fn a_static_marker_stands_for_the_token_that_the_sidecar_names() {
    let (marker, provider) = STATIC_MARKERS[0];
    let mut house = house(TokenLimits { scope_id: "proj".into(), ..open() });
    let name = |limits: &mut TokenLimits, token: &str| {
        limits.marker_tokens = vec![(provider.to_owned(), token.to_owned())];
    };
    let own = house.broker_token.clone();
    name(&mut house.answerer.limits, &own);
    let granted = grant(&mut house, marker).unwrap().token;
    assert_eq!((granted.subject.as_str(), granted.scope.as_str()), ("web", "proj"));
    // Revoked with its token, although markers alone are honoured.
    house.answerer.vault.revoke_token(&own).unwrap();
    house.answerer.forget();
    assert_eq!(grant(&mut house, marker).err(), Some(Refusal::UnknownToken));
}

#[test]
fn a_missing_credential_is_told_apart_from_an_unusable_one() {
    let mut house = house(open());
    let missing = mint(&mut house.answerer.vault, "github");
    let problem = grant(&mut house, &missing).unwrap().credential.err();
    assert_eq!(problem, Some(CredentialProblem::Missing));
    let empty = vault_store::credential::Credential::parse(r#"{"type":"pat"}"#).unwrap();
    house.answerer.vault.put_credential("default", "github", &empty).unwrap();
    let problem = grant(&mut house, &missing).unwrap().credential.err();
    assert_eq!(problem, Some(CredentialProblem::Misconfigured));
}

#[test]
fn a_refresh_token_never_leaves_with_a_grant() {
    let mut house = house(open());
    let json = r#"{"type":"oauth","access_token":"at","refresh_token":"rt","account_id":"a1"}"#;
    let login = vault_store::credential::Credential::parse(json).unwrap();
    house.answerer.vault.put_credential("default", "openai", &login).unwrap();
    let token = mint(&mut house.answerer.vault, "openai");
    let credential = grant(&mut house, &token).unwrap().credential.ok().unwrap();
    assert_eq!(credential.kind, CredentialKind::OAuth);
    assert_eq!(credential.value.expose(), "at");
    assert_eq!(credential.member("account_id").unwrap().expose(), "a1");
    assert!(credential.member("refresh_token").is_none());
}

#[test]
fn a_brokers_token_sees_no_keys() {
    let mut house = house(open());
    let token = house.broker_token.clone();
    assert_eq!(identities(&mut house, &token), Err(Refusal::WrongProvider));
}

/// A message of `ssh-keygen -Y sign`, to be signed with this key.
fn to_sign(public_blob: Vec<u8>, namespace: &str) -> ToSign {
    let mut data = b"SSHSIG".to_vec();
    for part in [namespace.as_bytes(), b"", b"sha256", &[1; 32]] {
        put_string(&mut data, part);
    }
    ToSign { public_blob, data, flags: 0, route: Route::default() }
}

fn sign(house: &mut House, public_blob: Vec<u8>, namespace: &str) -> Signing {
    let token = Secret::from(house.ssh_token.clone());
    let question = Question::Sign { token, to_sign: to_sign(public_blob, namespace) };
    match house.answerer.answer(Role::Signer, question) {
        Answer::Signing(signing) => signing,
        _ => panic!("another answer"),
    }
}

#[test]
fn a_scopes_key_signs_and_another_scopes_key_does_not() {
    let mut house = house(open());
    let token = house.ssh_token.clone();
    let blob = identities(&mut house, &token).unwrap()[0].public_blob.clone();
    let signing = sign(&mut house, blob, "file");
    assert_eq!((signing.scope.as_str(), signing.subject.as_str()), ("proj", "web"));
    assert!(signing.outcome.is_ok());
    let foreign = generate(KeyKind::Ed25519, Comment::parse("").unwrap()).unwrap();
    let refused = sign(&mut house, foreign.public_blob().to_vec(), "file");
    assert_eq!(refused.outcome, Err(Denial::UnknownKey));
}

#[test]
fn a_key_that_two_scopes_share_signs_for_both() {
    let mut house = house(open());
    let token = house.ssh_token.clone();
    let blob = identities(&mut house, &token).unwrap()[0].public_blob.clone();
    assert!(sign(&mut house, blob.clone(), "file").outcome.is_ok());
    let id = house.answerer.vault.ssh_keys("proj").unwrap()[0].id;
    let other = ScopeName::parse("other").unwrap();
    house.answerer.vault.assign_ssh_key(&other, id).unwrap();
    let info = vault_store::token::TokenInfo {
        scope: "other".into(),
        subject: "web".into(),
        credential_set: "default".into(),
        provider: SSH.into(),
    };
    house.ssh_token = house.answerer.vault.mint_token(&info).unwrap().expose().clone();
    assert!(sign(&mut house, blob, "file").outcome.is_ok());
}

#[test]
fn a_keys_rules_hold_as_soon_as_the_change_is_seen() {
    let mut house = house(open());
    let token = house.ssh_token.clone();
    let blob = identities(&mut house, &token).unwrap()[0].public_blob.clone();
    assert!(sign(&mut house, blob.clone(), "file").outcome.is_ok());
    let fingerprint = vault_store::ssh_key::fingerprint(&blob);
    let rule = Rule::namespace("git").unwrap();
    house.answerer.vault.add_ssh_key_rule(&fingerprint, &rule).unwrap();
    house.answerer.forget();
    let refused = sign(&mut house, blob.clone(), "file").outcome;
    assert_eq!(refused, Err(Denial::Namespace("file".into())));
    assert!(sign(&mut house, blob, "git").outcome.is_ok());
}

#[test]
fn neither_asker_may_ask_what_is_the_others() {
    let mut house = house(open());
    let token = || Secret::from("t".to_owned());
    let questions = [
        (Role::Signer, Question::Grant { token: token() }),
        (Role::Broker, Question::Identities { token: token() }),
        (Role::Broker, Question::Sign { token: token(), to_sign: to_sign(vec![], "file") }),
    ];
    for (role, question) in questions {
        let answer = house.answerer.answer(role, question);
        assert!(matches!(answer, Answer::Refused(Refusal::NotYours)));
    }
}

//! What two supervisors on one vault may hand out, and when.

use super::*;

struct House {
    directory: tempfile::TempDir,
    vault: Vault,
    keeper: Refreshes,
}

fn passphrase() -> Secret<String> {
    "p".to_owned().into()
}

fn login() -> Login {
    Login { credential_set: "default".into(), provider: "p".into() }
}

fn house(credential: &str) -> House {
    let directory = tempfile::tempdir().unwrap();
    let mut vault = Vault::create(&directory.path().join("credentials.db"), &passphrase()).unwrap();
    vault.put_credential("default", "p", &Credential::parse(credential).unwrap()).unwrap();
    let keeper = Refreshes::with_locks_in(directory.path().join("locks"));
    House { directory, vault, keeper }
}

const ENDING: &str =
    r#"{"type":"oauth","access_token":"a1","refresh_token":"r1","expires_at":1000}"#;

impl House {
    /// Another supervisor on the same vault.
    fn neighbour(&self) -> (Vault, Refreshes) {
        let vault = Vault::open(&self.directory.path().join("credentials.db"), &passphrase());
        (vault.unwrap(), Refreshes::with_locks_in(self.directory.path().join("locks")))
    }

    fn ask(&mut self, question: Question) -> (Answer, Effect) {
        self.keeper.answer(&mut self.vault, &TokenLimits::default(), 1 << 32, question).unwrap()
    }

    fn begin(&mut self, rejected: Option<&str>) -> Begun {
        begin(&mut self.keeper, &mut self.vault, 1 << 32, rejected)
    }
}

fn begin(keeper: &mut Refreshes, vault: &mut Vault, id: u64, rejected: Option<&str>) -> Begun {
    let rejected = rejected.map(|token| Member(token.to_owned().into()));
    let question = Question::Begin { login: login(), rejected };
    match keeper.answer(vault, &TokenLimits::default(), id, question) {
        Ok((Answer::Begin(begun), _)) => begun,
        _ => panic!("another answer"),
    }
}

fn receipt(begun: Begun) -> Receipt {
    let Begun::Spend { refresh_token: Member(token), receipt } = begun else {
        panic!("nothing to spend")
    };
    assert_eq!(token.expose(), "r1");
    receipt
}

fn bought() -> Spent {
    Spent::Bought {
        access_token: Member("a2".to_owned().into()),
        refresh_token: Some(Member("r2".to_owned().into())),
        expires_in: 3600,
    }
}

fn end(receipt: Receipt, outcome: Spent) -> Question {
    Question::End { login: login(), receipt, outcome }
}

#[test]
fn one_supervisor_spends_and_the_other_finds_it_done() {
    let mut house = house(ENDING);
    let (mut vault, mut other) = house.neighbour();
    let receipt = receipt(house.begin(None));
    assert!(matches!(begin(&mut other, &mut vault, 1 << 32, None), Begun::Elsewhere));
    let (answer, effect) = house.ask(end(receipt, bought()));
    assert!(matches!(answer, Answer::Stored));
    assert_eq!(effect, Effect::Changed);
    assert!(matches!(begin(&mut other, &mut vault, 1 << 32, None), Begun::Fresh));
    assert!(matches!(begin(&mut other, &mut vault, 1 << 32, Some("a1")), Begun::Fresh));
}

#[test]
fn only_the_access_token_in_the_vault_can_have_been_refused() {
    let mut house = house(r#"{"access_token":"a1","refresh_token":"r1","expires_at":99999999999}"#);
    assert!(matches!(house.begin(None), Begun::Fresh));
    assert!(matches!(house.begin(Some("a0")), Begun::Fresh));
    receipt(house.begin(Some("a1")));
}

#[test]
fn a_broker_that_died_gives_its_lock_back() {
    let mut house = house(ENDING);
    receipt(house.begin(None));
    assert!(matches!(house.begin(None), Begun::Elsewhere));
    let (keeper, vault) = (&mut house.keeper, &mut house.vault);
    receipt(begin(keeper, vault, 2 << 32, None));
}

#[test]
fn a_broker_that_never_comes_back_gives_its_lock_back() {
    let mut house = house(ENDING);
    receipt(house.begin(None));
    let due = house.keeper.due().unwrap();
    house.keeper.release_overdue(&mut house.vault, due);
    assert!(house.keeper.due().is_none());
    receipt(house.begin(None));
}

#[test]
fn the_end_of_a_keeper_lets_no_other_spend_the_same_token() {
    let mut house = house(ENDING);
    let (mut vault, mut other) = house.neighbour();
    let receipt = receipt(house.begin(None));
    // Its lock falls with it.
    house.keeper = Refreshes::with_locks_in(house.directory.path().join("locks"));
    assert!(matches!(begin(&mut other, &mut vault, 1 << 32, None), Begun::Elsewhere));
    house.ask(end(receipt, bought()));
    assert!(matches!(begin(&mut other, &mut vault, 1 << 32, None), Begun::Fresh));
}

#[test]
fn a_refusal_is_remembered_by_everybody() {
    let mut house = house(ENDING);
    let (mut vault, mut other) = house.neighbour();
    let receipt = receipt(house.begin(None));
    house.ask(end(receipt, Spent::Refused { reason: "invalid_grant".into() }));
    assert!(matches!(begin(&mut other, &mut vault, 1 << 32, None), Begun::Refused));
    let asked = Question::Expiring { providers: vec!["p".into()] };
    let (Answer::Expiring(logins), _) = house.ask(asked) else { panic!("another answer") };
    assert!(logins.is_empty());
}

#[test]
fn a_failure_may_be_tried_again() {
    let mut house = house(ENDING);
    let asked = || Question::Expiring { providers: vec!["q".into(), "p".into()] };
    let (Answer::Expiring(logins), _) = house.ask(asked()) else { panic!("another answer") };
    assert_eq!(logins, [login()]);
    let first = receipt(house.begin(None));
    house.ask(end(first, Spent::Failed));
    receipt(house.begin(None));
}

#[test]
fn nothing_but_a_login_is_renewed_and_none_outside_the_limits() {
    let mut key = house(r#"{"type":"api_key","key":"k","refresh_token":"r1"}"#);
    assert!(matches!(key.begin(None), Begun::NotRenewable));
    let mut house = house(ENDING);
    let limits = TokenLimits { scope_id: "mine".into(), ..TokenLimits::default() };
    let question = Question::Begin { login: login(), rejected: None };
    let answered = house.keeper.answer(&mut house.vault, &limits, 1 << 32, question);
    assert!(matches!(answered, Ok((Answer::Begin(Begun::NotRenewable), _))));
    let stray = end(Receipt("x".into()), bought());
    let answered = house.keeper.answer(&mut house.vault, &limits, 1 << 32, stray);
    assert!(matches!(answered, Err(Refusal::NotYours)));
    house
        .vault
        .mint_token(&vault_store::token::TokenInfo {
            scope: "mine".into(),
            subject: "web".into(),
            credential_set: "default".into(),
            provider: "p".into(),
        })
        .unwrap();
    let question = Question::Begin { login: login(), rejected: None };
    let answered = house.keeper.answer(&mut house.vault, &limits, 1 << 32, question);
    assert!(matches!(answered, Ok((Answer::Begin(Begun::Spend { .. }), _))));
}

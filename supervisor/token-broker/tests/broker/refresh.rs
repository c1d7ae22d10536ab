//! Logins are renewed before they end and when an upstream refused one, each token spent once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::harness::{Broker, Response, Scripted, Stored, TOKEN, Upstream, eventually};

/// How late an answer can be.
const LATE: Duration = Duration::from_millis(400);

/// An upstream with its token endpoint at `/token`: only the newest access token counts, and each
/// refresh token can be spent once.
struct Provider {
    upstream: Upstream,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    generation: usize,
    asked: Vec<String>,
    /// Instead of the endpoint's usual answer.
    answer: Option<(u16, &'static str)>,
    /// Every access token is refused.
    refusing: bool,
    /// Taken besides the newest.
    also: Option<&'static str>,
}

impl Provider {
    fn new() -> Self {
        let state = Arc::<Mutex<State>>::default();
        let shared = Arc::clone(&state);
        let upstream = Upstream::doing(move |mut exchange| {
            let body = exchange.body();
            if exchange.head.target() == "/late" {
                std::thread::sleep(LATE);
            }
            let mut state = shared.lock().unwrap();
            let response = if exchange.head.target() == "/token" {
                state.asked.push(String::from_utf8(body).unwrap());
                endpoint(&mut state)
            } else {
                let newest = format!("access-{}", state.generation);
                let presented = exchange.head.header("authorization").unwrap_or_default();
                let presented = presented.strip_prefix("Bearer ").unwrap_or_default();
                let taken = presented == newest || Some(presented) == state.also;
                match taken && !state.refusing {
                    true => reply(200, &format!("ok {}", String::from_utf8_lossy(&body))),
                    false => reply(401, "expired"),
                }
            };
            drop(state);
            exchange.write(response.as_bytes());
        });
        Self { upstream, state }
    }

    fn broker(&self) -> Broker {
        let url = self.upstream.url();
        let broker = Broker::start(&format!(
            r#"{{"p": {{"upstream": "{url}", "oauth_refresh":
                {{"token_url": "{url}/token", "client_id": "app", "scope": "a b"}}}}}}"#
        ));
        broker.keeper.say(
            TOKEN,
            Scripted::OAuth { provider: "p", value: "access-0".into(), members: vec![] },
        );
        broker.keeper.logins.lock().unwrap().refresh_token = Some("refresh-0".into());
        broker
    }

    /// The access tokens handed out so far no longer count.
    fn end_login(&self) {
        self.state.lock().unwrap().generation += 1;
    }

    fn asked(&self) -> usize {
        self.state.lock().unwrap().asked.len()
    }
}

/// A new pair for the token of the generation before, nothing for any other.
fn endpoint(state: &mut State) -> String {
    if let Some((status, body)) = state.answer {
        return reply(status, body);
    }
    let n = state.asked.len();
    let spent = format!(r#""refresh_token":"refresh-{}""#, n - 1);
    if !state.asked[n - 1].contains(&spent) {
        return reply(400, r#"{"error":"refresh_token_reused"}"#);
    }
    state.generation = n;
    let tokens = format!(
        r#"{{"access_token":"access-{n}","refresh_token":"refresh-{n}","expires_in":3600}}"#
    );
    reply(200, &tokens)
}

fn reply(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn post(broker: &Broker) -> Response {
    broker.connect().request("POST", "/v1", &[], b"prompt")
}

#[test]
fn a_refused_login_is_renewed_and_the_request_repeated() {
    let provider = Provider::new();
    let broker = provider.broker();
    assert_eq!(post(&broker).text(), "ok prompt");
    provider.end_login();
    assert_eq!(post(&broker).text(), "ok prompt");
    let stored = &broker.keeper.logins.lock().unwrap().stored;
    let bought = Stored::Bought {
        access: "access-1".into(),
        refresh: Some("refresh-1".into()),
        expires_in: 3600,
    };
    assert_eq!(*stored, [bought]);
    let asked = &provider.state.lock().unwrap().asked;
    assert_eq!(
        *asked,
        [
            r#"{"client_id":"app","grant_type":"refresh_token","refresh_token":"refresh-0","scope":"a b"}"#
        ]
    );
    assert_eq!(broker.audit(2)[1]["status"], 200, "one line, with what the client saw");
}

#[test]
fn a_login_that_was_seen_to_work_is_renewed_however_often_it_ends() {
    let provider = Provider::new();
    let broker = provider.broker();
    for _ in 0..3 {
        provider.end_login();
        assert_eq!(post(&broker).text(), "ok prompt");
    }
    assert_eq!(provider.asked(), 3);
}

#[test]
fn many_refused_requests_cause_one_renewal() {
    let provider = Provider::new();
    let broker = provider.broker();
    assert_eq!(post(&broker).status, 200);
    provider.end_login();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..20).map(|_| scope.spawn(|| post(&broker).status)).collect();
        for client in clients {
            assert_eq!(client.join().unwrap(), 200);
        }
    });
    assert_eq!(provider.asked(), 1);
}

#[test]
fn a_refusal_that_comes_after_the_renewal_is_repeated_with_what_that_brought() {
    let provider = Provider::new();
    let broker = provider.broker();
    assert_eq!(post(&broker).status, 200);
    provider.end_login();
    std::thread::scope(|scope| {
        let late = scope.spawn(|| broker.connect().request("POST", "/late", &[], b"prompt"));
        std::thread::sleep(LATE / 4);
        assert_eq!(post(&broker).status, 200);
        assert_eq!(late.join().unwrap().status, 200);
    });
    assert_eq!(provider.asked(), 1);
}

#[test]
fn what_another_supervisor_renewed_is_adopted() {
    let provider = Provider::new();
    let broker = provider.broker();
    assert_eq!(post(&broker).status, 200);
    provider.end_login();
    provider.state.lock().unwrap().also = Some("by-another");
    broker.keeper.logins.lock().unwrap().elsewhere = 4;
    assert_eq!(post(&broker).text(), "ok prompt");
    assert_eq!(provider.asked(), 0);
    assert!(broker.keeper.logins.lock().unwrap().stored.is_empty());
}

#[test]
fn a_refusal_for_good_is_stored_and_not_asked_for_again() {
    let provider = Provider::new();
    let broker = provider.broker();
    provider.state.lock().unwrap().answer = Some((400, r#"{"error":"invalid_grant"}"#));
    provider.end_login();
    assert_eq!(post(&broker).status, 401);
    broker.keeper.logins.lock().unwrap().refused = true;
    for _ in 0..5 {
        assert_eq!(post(&broker).text(), "expired");
    }
    assert_eq!(provider.asked(), 1);
    let stored = &broker.keeper.logins.lock().unwrap().stored;
    assert_eq!(*stored, [Stored::Refused("invalid_grant".into())]);
}

#[test]
fn an_upstream_that_refuses_everything_costs_one_renewal() {
    let provider = Provider::new();
    let broker = provider.broker();
    provider.state.lock().unwrap().refusing = true;
    for _ in 0..5 {
        assert_eq!(post(&broker).status, 401);
    }
    assert_eq!(provider.asked(), 1);
}

#[test]
fn what_was_bought_is_offered_until_it_is_stored() {
    let provider = Provider::new();
    let broker = provider.broker();
    broker.keeper.logins.lock().unwrap().unwritable = 1;
    provider.end_login();
    assert_eq!(post(&broker).text(), "ok prompt");
    assert_eq!(provider.asked(), 1);
}

#[test]
fn a_login_that_ends_soon_is_renewed_without_a_request() {
    let provider = Provider::new();
    let broker = provider.broker();
    broker.keeper.logins.lock().unwrap().expiring = true;
    broker.keeper.notify(vault_grant::Notice::Changed);
    eventually("a renewal", || !broker.keeper.logins.lock().unwrap().stored.is_empty());
    assert_eq!(post(&broker).text(), "ok prompt");
    assert_eq!(provider.asked(), 1);
}

#[test]
fn a_client_that_goes_away_does_not_stop_a_renewal() {
    let provider = Provider::new();
    let broker = provider.broker();
    broker.keeper.logins.lock().unwrap().unwritable = 1;
    provider.end_login();
    let mut client = broker.connect();
    client.write(format!("GET / HTTP/1.1\r\nHost: h\r\nX-Api-Key: {TOKEN}\r\n\r\n").as_bytes());
    eventually("the call", || provider.asked() == 1);
    drop(client);
    eventually("the store", || !broker.keeper.logins.lock().unwrap().stored.is_empty());
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(post(&broker).text(), "ok prompt");
    assert_eq!(provider.asked(), 1);
}

#[test]
fn a_request_that_cannot_be_repeated_gets_its_401_and_the_next_one_works() {
    let provider = Provider::new();
    let broker = provider.broker();
    provider.end_login();
    let large = vec![b'x'; 2 * 1024 * 1024];
    assert_eq!(broker.connect().request("POST", "/v1", &[], &large).status, 401);
    assert_eq!(post(&broker).text(), "ok prompt");
}

#[test]
fn an_api_key_that_is_refused_is_the_clients_401() {
    let provider = Provider::new();
    let broker = provider.broker();
    broker.keeper.say(TOKEN, Scripted::Key { provider: "p", value: "key".into() });
    assert_eq!(post(&broker).status, 401);
    assert_eq!(provider.asked(), 0);
}

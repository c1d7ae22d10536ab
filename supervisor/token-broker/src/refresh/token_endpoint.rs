//! The one call that spends a refresh token (RFC 6749 section 6), and how its answer reads.
//!
//! In: a route's terms and the token. Out: what it bought, a refusal for good, or a failure. No
//! body of either direction is ever logged.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request, StatusCode};
use serde_json::{Map, Value};
use terok_shared::routes::OAuthRefresh;
use terok_shared::secret::Secret;
use tokio::time::timeout;
use vault_grant::Member;
use vault_grant::refresh::Spent;
use zeroize::{Zeroize, Zeroizing};

use crate::forward::send_by_client;
use crate::upload::Upload;
use crate::upstream::Client;

/// From the connection to the end of the answer.
const LIMIT: Duration = Duration::from_secs(15);
const MAX_ANSWER: usize = 256 * 1024;
/// Lifetime in seconds of an access token whose answer names none.
const USUAL_LIFETIME: u64 = 28_800;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("terok-token-broker/", env!("CARGO_PKG_VERSION")));

/// Words of token endpoints that no repetition changes.
const FOR_GOOD: [&str; 5] = [
    "invalid_grant",
    "refresh_token_reused",
    "refresh_token_expired",
    "refresh_token_invalidated",
    "refresh_token_revoked",
];

/// Spends `refresh_token`; the second value is for our own log.
pub(super) async fn spend(
    client: &Client,
    terms: &OAuthRefresh,
    refresh_token: &Secret<String>,
) -> (Spent, String) {
    match timeout(LIMIT, call(client, terms, refresh_token)).await {
        Ok(Ok((status, body))) => read(status, &body),
        Ok(Err(why)) => (Spent::Failed, why),
        Err(_elapsed) => (Spent::Failed, format!("no answer within {} s", LIMIT.as_secs())),
    }
}

async fn call(
    client: &Client,
    terms: &OAuthRefresh,
    refresh_token: &Secret<String>,
) -> Result<(StatusCode, Bytes), String> {
    let body = Zeroizing::new(question(terms, refresh_token).into_bytes());
    let mut request = Request::new(Upload::fixed(Bytes::from_owner(body)));
    *request.method_mut() = Method::POST;
    *request.uri_mut() =
        terms.token_url.parse().map_err(|_| "its URL cannot be called".to_owned())?;
    let length = hyper::body::Body::size_hint(request.body()).exact().unwrap_or_default();
    let headers = request.headers_mut();
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(ACCEPT, JSON);
    headers.insert(USER_AGENT, AGENT);
    let response = send_by_client(client, request).await.map_err(|failed| failed.detail)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await;
    let body = body.map_err(|why| format!("its answer broke off: {why}"))?;
    Ok((status, body.to_bytes()))
}

fn question(terms: &OAuthRefresh, refresh_token: &Secret<String>) -> String {
    let mut fields = Map::new();
    fields.insert("grant_type".into(), "refresh_token".into());
    fields.insert("refresh_token".into(), refresh_token.expose().clone().into());
    fields.insert("client_id".into(), terms.client_id.clone().into());
    if let Some(scope) = &terms.scope {
        fields.insert("scope".into(), scope.clone().into());
    }
    if let Some(secret) = &terms.client_secret {
        fields.insert("client_secret".into(), secret.expose().clone().into());
    }
    let text = serde_json::to_string(&fields).expect("a map of strings serialises");
    fields.values_mut().for_each(wipe);
    text
}

/// What an answer says, and a line for our own log.
fn read(status: StatusCode, body: &[u8]) -> (Spent, String) {
    let mut said: Value = serde_json::from_slice(body).unwrap_or_default();
    let outcome = if status.is_success() {
        bought(&mut said).ok_or_else(|| format!("status {status} without an access token"))
    } else {
        match reason(&said) {
            Some(reason) if FOR_GOOD.contains(&reason) => {
                let reason = reason.to_owned();
                let line = format!("status {status}, {reason}");
                return (Spent::Refused { reason }, line);
            }
            Some(reason) => Err(format!("status {status}, {reason}")),
            None => Err(format!("status {status}")),
        }
    };
    wipe(&mut said);
    match outcome {
        Ok(bought) => (bought, format!("status {status}")),
        Err(line) => (Spent::Failed, line),
    }
}

fn bought(said: &mut Value) -> Option<Spent> {
    let expires_in = said.get("expires_in").and_then(|seconds| {
        seconds.as_u64().or_else(|| seconds.as_f64().map(|seconds| seconds.max(0.0) as u64))
    });
    let mut take = |name| match said.get_mut(name).map(Value::take) {
        Some(Value::String(text)) if !text.is_empty() => Some(Member(text.into())),
        _ => None,
    };
    Some(Spent::Bought {
        access_token: take("access_token")?,
        refresh_token: take("refresh_token"),
        expires_in: expires_in.unwrap_or(USUAL_LIFETIME),
    })
}

/// `{"error": "…"}` (RFC 6749 section 5.2), or `{"error": {"code": "…"}}` as some say it. Only
/// what reads as a code: anything else might quote a token.
fn reason(said: &Value) -> Option<&str> {
    let error = said.get("error")?;
    let words = [error.as_str(), error["code"].as_str(), error["type"].as_str()];
    let is_code =
        |word: &&str| word.len() <= 64 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let mut codes = words.into_iter().flatten().filter(is_code);
    codes.clone().find(|code| FOR_GOOD.contains(code)).or_else(|| codes.next())
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(status: u16, body: &str) -> String {
        let (spent, line) = read(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert!(!line.contains("secret"), "{line}");
        match spent {
            Spent::Bought { access_token, refresh_token, expires_in } => format!(
                "{} {} {expires_in}",
                access_token.0.expose(),
                refresh_token.map_or("-".to_owned(), |token| token.0.expose().clone())
            ),
            Spent::Refused { reason } => format!("refused: {reason}"),
            Spent::Failed => format!("failed: {line}"),
        }
    }

    #[test]
    fn answers_are_read() {
        for (status, body, expected) in [
            (200, r#"{"access_token":"a","refresh_token":"r","expires_in":60}"#, "a r 60"),
            (200, r#"{"access_token":"a"}"#, "a - 28800"),
            (200, r#"{"access_token":"a","expires_in":59.9,"refresh_token":null}"#, "a - 59"),
            (200, r#"{"access_token":""}"#, "failed: status 200 OK without an access token"),
            (200, "secret", "failed: status 200 OK without an access token"),
            (
                400,
                r#"{"error":"invalid_grant","error_description":"secret"}"#,
                "refused: invalid_grant",
            ),
            (401, r#"{"error":{"code":"refresh_token_reused"}}"#, "refused: refresh_token_reused"),
            (
                400,
                r#"{"error":{"type":"invalid_request_error","code":"refresh_token_expired"}}"#,
                "refused: refresh_token_expired",
            ),
            (
                400,
                r#"{"error":"temporarily_unavailable"}"#,
                "failed: status 400 Bad Request, temporarily_unavailable",
            ),
            (400, r#"{"error":"Secret 123 secret"}"#, "failed: status 400 Bad Request"),
            (503, "", "failed: status 503 Service Unavailable"),
        ] {
            assert_eq!(outcome(status, body), expected, "{body}");
        }
    }

    #[test]
    fn the_question_has_the_contracts_fields() {
        let terms = |scope: Option<&str>, secret: Option<&str>| OAuthRefresh {
            token_url: "https://h/t".into(),
            client_id: "app".into(),
            scope: scope.map(Into::into),
            client_secret: secret.map(|secret| secret.to_owned().into()),
        };
        let asked = |terms| question(&terms, &"r".to_owned().into());
        assert_eq!(
            asked(terms(None, None)),
            r#"{"client_id":"app","grant_type":"refresh_token","refresh_token":"r"}"#
        );
        let full: Value = serde_json::from_str(&asked(terms(Some("a b"), Some("s")))).unwrap();
        assert_eq!((&full["scope"], &full["client_secret"]), (&"a b".into(), &"s".into()));
    }
}

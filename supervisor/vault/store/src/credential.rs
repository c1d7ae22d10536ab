//! A stored credential: a JSON object of which we know a few members and keep all.
//!
//! In comes the text of a row or what an operator typed; out come the secret to inject and the
//! kind that decides how.

pub(crate) mod rows;

use std::fmt;

use serde_json::{Map, Value};
use terok_shared::secret::Secret;
use zeroize::Zeroize;

pub use rows::{CredentialError, CredentialName};

/// How the secret is presented to the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An access token of an OAuth login, with the login's extra headers.
    OAuth,
    /// A key or token that stands alone.
    Key,
}

/// What a lone key calls itself, and which member holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    ApiKey,
    OAuthToken,
    PersonalAccessToken,
}

impl KeyType {
    fn type_and_member(self) -> (&'static str, &'static str) {
        match self {
            Self::ApiKey => ("api_key", "key"),
            Self::OAuthToken => ("oauth_token", "token"),
            Self::PersonalAccessToken => ("pat", "token"),
        }
    }
}

/// One credential. Members that are not ours survive a rewrite; all text is wiped on drop.
pub struct Credential {
    members: Map<String, Value>,
}

impl Credential {
    /// Reads a JSON object of any members.
    pub fn parse(json: &str) -> Result<Self, MalformedCredential> {
        match serde_json::from_str(json) {
            Ok(Value::Object(members)) => Ok(Self { members }),
            Ok(mut other) => {
                wipe(&mut other);
                Err(MalformedCredential::NotAnObject)
            }
            // The parser's message could quote the text; the place is enough.
            Err(error) => {
                Err(MalformedCredential::NotJson { line: error.line(), column: error.column() })
            }
        }
    }

    /// A JSON object that was read already.
    pub fn of_members(members: Map<String, Value>) -> Self {
        Self { members }
    }

    /// A key or token that stands alone.
    pub fn key(key_type: KeyType, secret: &Secret<String>) -> Self {
        let (name, member) = key_type.type_and_member();
        let mut members = Map::new();
        members.insert("type".to_owned(), name.into());
        members.insert(member.to_owned(), secret.expose().as_str().into());
        Self { members }
    }

    /// An OAuth login; `expires_at` in Unix seconds.
    pub fn oauth(
        access_token: &Secret<String>,
        refresh_token: Option<&Secret<String>>,
        expires_at: Option<i64>,
    ) -> Self {
        let mut credential = Self { members: Map::new() };
        credential.set("type", "oauth".into());
        credential.set("access_token", access_token.expose().as_str().into());
        if let Some(token) = refresh_token {
            credential.set("refresh_token", token.expose().as_str().into());
        }
        if let Some(seconds) = expires_at {
            credential.set("expires_at", seconds.into());
        }
        credential
    }

    /// OAuth when `type` says so, or when there is no `type` but an `access_token`.
    pub fn kind(&self) -> Kind {
        match self.members.get("type").and_then(Value::as_str).unwrap_or_default() {
            "oauth" => Kind::OAuth,
            "" if self.members.contains_key("access_token") => Kind::OAuth,
            _ => Kind::Key,
        }
    }

    /// The value to present: `access_token`, or the first of `token` and `key` that is not empty.
    /// `None` means that the credential is unusable.
    pub fn secret(&self) -> Option<Secret<String>> {
        let candidates: &[&str] = match self.kind() {
            Kind::OAuth => &["access_token"],
            Kind::Key => &["token", "key"],
        };
        candidates.iter().find_map(|name| self.text(name))
    }

    /// The token that buys the next access token, when this is a login that has one.
    pub fn refresh_token(&self) -> Option<Secret<String>> {
        (self.kind() == Kind::OAuth).then(|| self.text("refresh_token")).flatten()
    }

    /// When the access token ends, in Unix seconds. Some writers store a fraction: it is cut off.
    pub fn expires_at(&self) -> Option<i64> {
        let value = self.members.get("expires_at")?;
        value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))
    }

    /// Any member as a header value would carry it: text as it is, a number in decimal.
    /// Absent, empty and nested members are `None`.
    pub fn member(&self, name: &str) -> Option<Secret<String>> {
        match self.members.get(name)? {
            Value::Number(number) => Some(number.to_string().into()),
            _ => self.text(name),
        }
    }

    /// Every other text or number a route may put into a header (an account id, say): all members
    /// but those that are themselves the credential.
    pub fn companions(&self) -> Vec<(String, Secret<String>)> {
        const THE_CREDENTIAL: [&str; 6] =
            ["type", "access_token", "refresh_token", "id_token", "token", "key"];
        self.members
            .keys()
            .filter(|name| !THE_CREDENTIAL.contains(&name.as_str()))
            .filter_map(|name| Some((name.clone(), self.member(name)?)))
            .collect()
    }

    /// Takes the answer of a refresh: without a new refresh token the old one is kept, as is
    /// every other member. `expires_at` in Unix seconds.
    pub fn refreshed(
        &mut self,
        access_token: &Secret<String>,
        refresh_token: Option<&Secret<String>>,
        expires_at: i64,
    ) {
        self.set("access_token", access_token.expose().as_str().into());
        if let Some(token) = refresh_token {
            self.set("refresh_token", token.expose().as_str().into());
        }
        self.set("expires_at", expires_at.into());
    }

    /// Sets a member of any kind, in place of one of the same name.
    pub fn set_member(&mut self, name: &str, value: Value) {
        self.set(name, value);
    }

    fn text(&self, name: &str) -> Option<Secret<String>> {
        let text = self.members.get(name)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned().into())
    }

    fn set(&mut self, name: &str, value: Value) {
        if let Some(mut old) = self.members.insert(name.to_owned(), value) {
            wipe(&mut old);
        }
    }

    fn to_json(&self) -> Secret<String> {
        serde_json::to_string(&self.members).expect("a map with text keys serialises").into()
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({:?}, …)", self.kind())
    }
}

impl Drop for Credential {
    fn drop(&mut self) {
        self.members.values_mut().for_each(wipe);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Why a text is no credential. The text itself is left out: it may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub enum MalformedCredential {
    NotJson { line: usize, column: usize },
    NotAnObject,
}

impl fmt::Display for MalformedCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson { line, column } => {
                write!(f, "credential is not JSON at line {line} column {column}")
            }
            Self::NotAnObject => f.write_str("credential is not a JSON object"),
        }
    }
}

impl std::error::Error for MalformedCredential {}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret_of(json: &str) -> Option<String> {
        Credential::parse(json).unwrap().secret().map(|secret| secret.expose().clone())
    }

    #[test]
    fn kind_follows_the_type_and_without_one_the_access_token() {
        for (json, kind) in [
            (r#"{"type":"oauth","access_token":"a"}"#, Kind::OAuth),
            (r#"{"access_token":"a"}"#, Kind::OAuth),
            (r#"{"type":"","access_token":"a"}"#, Kind::OAuth),
            (r#"{"type":"api_key","key":"k","access_token":"a"}"#, Kind::Key),
            (r#"{"type":"oauth_token","token":"t"}"#, Kind::Key),
            (r#"{"token":"t"}"#, Kind::Key),
        ] {
            assert_eq!(Credential::parse(json).unwrap().kind(), kind, "{json}");
        }
    }

    #[test]
    fn secret_is_the_first_member_that_is_not_empty() {
        for (json, secret) in [
            (r#"{"type":"oauth","access_token":"a","key":"k"}"#, Some("a")),
            (r#"{"type":"oauth","key":"k"}"#, None),
            (r#"{"type":"pat","token":"t","key":"k"}"#, Some("t")),
            (r#"{"type":"api_key","token":"","key":"k"}"#, Some("k")),
            (r#"{"type":"api_key","key":7}"#, None),
            ("{}", None),
        ] {
            assert_eq!(secret_of(json).as_deref(), secret, "{json}");
        }
    }

    #[test]
    fn refresh_keeps_unknown_members_and_the_old_refresh_token() {
        let mut login = Credential::parse(
            r#"{"type":"oauth","access_token":"a","refresh_token":"r","scopes":["x",{"y":1}],"n":1.5}"#,
        )
        .unwrap();
        login.refreshed(&"b".to_owned().into(), None, 77);
        let written: Value = serde_json::from_str(login.to_json().expose()).unwrap();
        assert_eq!(
            written,
            serde_json::json!({"type":"oauth","access_token":"b","refresh_token":"r",
                               "expires_at":77,"scopes":["x",{"y":1}],"n":1.5})
        );
        login.refreshed(&"c".to_owned().into(), Some(&"r2".to_owned().into()), 78);
        assert_eq!(login.refresh_token().unwrap().expose(), "r2");
    }

    #[test]
    fn expiry_may_have_a_fraction() {
        let expiry = |json| Credential::parse(json).unwrap().expires_at();
        assert_eq!(expiry(r#"{"expires_at":1700000000}"#), Some(1_700_000_000));
        assert_eq!(expiry(r#"{"expires_at":1700000000.75}"#), Some(1_700_000_000));
        assert_eq!(expiry(r#"{"expires_at":"soon"}"#), None);
        assert_eq!(expiry("{}"), None);
    }

    #[test]
    fn members_read_as_header_values() {
        let credential = Credential::parse(r#"{"id":"acc","n":12,"e":"","o":{}}"#).unwrap();
        let member = |name| credential.member(name).map(|value| value.expose().clone());
        assert_eq!(member("id").as_deref(), Some("acc"));
        assert_eq!(member("n").as_deref(), Some("12"));
        for name in ["e", "o", "absent"] {
            assert_eq!(member(name), None, "{name}");
        }
    }

    #[test]
    fn malformed_text_is_refused_without_quoting_it() {
        let error = Credential::parse(r#"{"key": hunter2}"#).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert_eq!(
            Credential::parse(r#""hunter2""#).unwrap_err(),
            MalformedCredential::NotAnObject
        );
    }

    #[test]
    fn debug_shows_the_kind_alone() {
        let credential = Credential::key(KeyType::ApiKey, &"hunter2".to_owned().into());
        assert_eq!(format!("{credential:?}"), "Credential(Key, …)");
    }
}

//! Codex's `auth.json`: a login, or an API key.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use terok_shared::secret::Secret;
use vault_store::credential::{Credential, KeyType};

use super::{ContentError, Finds, Found, json, with_members};
use crate::access_token;

const PROVIDER: &str = "openai";

#[derive(Deserialize)]
struct File {
    #[serde(rename = "OPENAI_API_KEY")]
    api_key: Option<String>,
    /// Which of the two counts, when both are there.
    auth_mode: Option<String>,
    tokens: Option<Tokens>,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    refresh_token: Option<String>,
    #[serde(default)]
    id_token: Value,
    #[serde(default)]
    account_id: Value,
}

pub(super) fn read(text: &str, with_refresh: bool) -> Result<Finds, ContentError> {
    let mut file = json::<File>(text)?;
    if file.auth_mode.as_deref().is_some_and(|mode| mode.eq_ignore_ascii_case("apikey")) {
        file.tokens = None;
    }
    let found = match file {
        File { tokens: Some(tokens), .. } => login(tokens, with_refresh),
        File { api_key: Some(key), .. } if !key.is_empty() => {
            Found::usual(PROVIDER, Credential::key(KeyType::ApiKey, &Secret::from(key)))
        }
        File { .. } => {
            return Err(ContentError::NoCredential {
                what: "neither a login nor an API key of Codex in it",
                hint: "run `codex login`".into(),
            });
        }
    };
    Ok(Finds { found: vec![found], notes: vec![] })
}

fn login(tokens: Tokens, with_refresh: bool) -> Found {
    let access_token = Secret::from(tokens.access_token);
    let refresh_token = tokens.refresh_token.map(Secret::from).filter(|_| with_refresh);
    let expires_at = access_token::expires_at(access_token.expose());
    let credential = Credential::oauth(&access_token, refresh_token.as_ref(), expires_at);
    let members: Map<String, Value> =
        [("id_token", tokens.id_token), ("account_id", tokens.account_id)]
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect();
    // Public facts of the program itself: where it renews its logins, as whom, and the header that
    // says which account pays.
    Found::usual(PROVIDER, with_members(credential, members)).with_route(json!({
        "oauth_refresh": {
            "token_url": "https://auth.openai.com/oauth/token",
            "client_id": "app_EMoamEEZ73f0CkXaXp7hrann",
            "scope": "openid profile email",
        },
        "oauth_credential_headers": { "ChatGPT-Account-ID": "account_id" },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_read_with_its_account() {
        let text = r#"{"OPENAI_API_KEY": null, "auth_mode": "chatgpt", "last_refresh": "x",
            "tokens": {"id_token": "it", "access_token": "at", "refresh_token": "rt",
                       "account_id": "acc"}}"#;
        let finds = read(text, true).unwrap();
        let [Found { provider, credential, route }] = &finds.found[..] else { panic!() };
        assert_eq!(provider.as_str(), "openai");
        assert_eq!(credential.secret().unwrap().expose(), "at");
        assert_eq!(credential.refresh_token().unwrap().expose(), "rt");
        assert_eq!(credential.member("account_id").unwrap().expose(), "acc");
        assert_eq!(route.additions.len(), 2);
        assert!(read(text, false).unwrap().found[0].credential.refresh_token().is_none());
    }

    #[test]
    fn an_api_key_is_read_where_there_is_no_login() {
        let finds = read(r#"{"OPENAI_API_KEY": "sk-1"}"#, true).unwrap();
        assert_eq!(finds.found[0].credential.secret().unwrap().expose(), "sk-1");
        let both = r#"{"OPENAI_API_KEY": "sk-1", "auth_mode": "apikey",
            "tokens": {"access_token": "at"}}"#;
        let finds = read(both, true).unwrap();
        assert_eq!(finds.found[0].credential.secret().unwrap().expose(), "sk-1");
        for text in ["{}", r#"{"OPENAI_API_KEY": ""}"#, r#"{"tokens": {"access_token": []}}"#, "{"]
        {
            assert!(read(text, true).is_err(), "{text}");
        }
    }
}

//! Claude Code's `.credentials.json`.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use terok_shared::secret::Secret;
use vault_store::credential::Credential;

use super::{ContentError, Finds, Found, json, with_members};

const PROVIDER: &str = "anthropic";

#[derive(Deserialize)]
struct File {
    #[serde(rename = "claudeAiOauth")]
    login: Option<Login>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Login {
    access_token: String,
    refresh_token: Option<String>,
    /// In milliseconds.
    expires_at: Option<i64>,
    #[serde(default)]
    scopes: Value,
    #[serde(default)]
    subscription_type: Value,
    #[serde(default)]
    rate_limit_tier: Value,
}

pub(super) fn read(text: &str, with_refresh: bool) -> Result<Finds, ContentError> {
    let login = json::<File>(text)?.login.ok_or_else(|| ContentError::NoCredential {
        what: "no login of Claude Code in it",
        hint: "run `claude` and log in; for an API key use `terokctl vault add anthropic`".into(),
    })?;
    let access_token = Secret::from(login.access_token);
    let refresh_token = login.refresh_token.map(Secret::from).filter(|_| with_refresh);
    let expires_at = login.expires_at.map(|milliseconds| milliseconds.div_euclid(1000));
    let credential = Credential::oauth(&access_token, refresh_token.as_ref(), expires_at);
    let members: Map<String, Value> = [
        ("scopes", login.scopes),
        ("subscription_type", login.subscription_type),
        ("rate_limit_tier", login.rate_limit_tier),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect();
    // Public facts of the program itself: where it renews its logins, and as whom.
    let route = json!({ "oauth_refresh": {
        "token_url": "https://platform.claude.com/v1/oauth/token",
        "client_id": "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
    }});
    let found = Found::usual(PROVIDER, with_members(credential, members)).with_route(route);
    Ok(Finds { found: vec![found], notes: vec![] })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"{"claudeAiOauth": {"accessToken": "at", "refreshToken": "rt",
        "expiresAt": 1700000000999, "scopes": ["user:inference"], "subscriptionType": "max"},
        "mcpOAuth": {}}"#;

    #[test]
    fn a_login_is_read_with_its_expiry_in_seconds() {
        let finds = read(FILE, true).unwrap();
        let [Found { provider, credential, route }] = &finds.found[..] else { panic!() };
        assert_eq!(provider.as_str(), "anthropic");
        assert_eq!(credential.secret().unwrap().expose(), "at");
        assert_eq!(credential.refresh_token().unwrap().expose(), "rt");
        assert_eq!(credential.expires_at(), Some(1_700_000_000));
        assert_eq!(credential.member("subscription_type").unwrap().expose(), "max");
        assert!(route.additions["oauth_refresh"]["token_url"].is_string());
    }

    #[test]
    fn the_refresh_token_can_be_left_out() {
        let finds = read(FILE, false).unwrap();
        assert!(finds.found[0].credential.refresh_token().is_none());
    }

    #[test]
    fn other_files_are_refused_without_being_quoted() {
        for text in ["{}", "[]", "", r#"{"claudeAiOauth": {"accessToken": 7, "x": "hunter2"}}"#] {
            let why = read(text, true).unwrap_err();
            assert!(!format!("{why} {why:?}").contains("hunter2"), "{why}");
        }
    }
}

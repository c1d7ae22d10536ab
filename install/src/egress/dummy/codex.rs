//! Codex's `auth.json`: it decodes the tokens in it, so they are JSON Web Tokens (RFC 7519) with
//! the real one's expiry and account, and no signature.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use terok_shared::secret::Secret;
use terok_shared::token::{EntropyError, mint_phantom};
use vault_store::credential::Credential;

use crate::access_token;

/// A claim is an identifier: longer ones would make a token that the broker does not read.
const MAX_CLAIM: usize = 128;

/// RFC 7519 section 6.1.
const UNSIGNED: &str = r#"{"alg":"none","typ":"JWT"}"#;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// In Unix seconds.
    end: i64,
    account_id: Option<String>,
    plan_type: Option<String>,
}

#[derive(Default, Deserialize)]
struct Claims {
    #[serde(default, rename = "https://api.openai.com/auth")]
    auth: Account,
}

#[derive(Default, Deserialize)]
struct Account {
    chatgpt_account_id: Option<String>,
    chatgpt_plan_type: Option<String>,
}

impl Facts {
    pub(super) fn of(credential: &Credential) -> Self {
        let claims = credential.secret().and_then(|token| access_token::claims(token.expose()));
        let Claims { auth: account } = claims.unwrap_or_default();
        let stored = || credential.member("account_id").map(|id| id.expose().clone());
        Self {
            end: super::end(credential),
            account_id: account.chatgpt_account_id.or_else(stored).filter(|id| is_plain(id)),
            plan_type: account.chatgpt_plan_type.filter(|plan| is_plain(plan)),
        }
    }

    /// A phantom token: the random part is where a signature would be.
    pub(super) fn mint(&self) -> Result<Secret<String>, EntropyError> {
        let random = mint_phantom()?;
        Ok(self.token(random.expose()).into())
    }

    pub(super) fn text(&self, phantom: &Secret<String>, now: i64) -> Secret<String> {
        let last_refresh = Timestamp::from_second(now).unwrap_or_default().to_string();
        let file = json!({
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": null,
            "tokens": {
                "id_token": self.token("unsigned"),
                "access_token": phantom.expose(),
                "refresh_token": super::NO_REFRESH_TOKEN,
                "account_id": self.account_id,
            },
            // Codex renews a login that it has not renewed for days.
            "last_refresh": last_refresh,
        });
        format!("{file:#}\n").into()
    }

    fn token(&self, last_part: &str) -> String {
        let mut account = serde_json::Map::new();
        let claims =
            [("chatgpt_account_id", &self.account_id), ("chatgpt_plan_type", &self.plan_type)];
        for (name, value) in claims {
            if let Some(value) = value {
                account.insert(name.to_owned(), value.as_str().into());
            }
        }
        let claims = json!({
            "exp": self.end,
            "https://api.openai.com/auth": Value::Object(account),
        });
        let encoded = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.{last_part}", encoded(UNSIGNED), encoded(&claims.to_string()))
    }
}

fn is_plain(claim: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !claim.is_empty() && claim.len() <= MAX_CLAIM && claim.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use terok_shared::token::MAX_TOKEN;

    use super::*;

    fn login(claims: &Value, more: Value) -> Credential {
        let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        let mut members = json!({
            "type": "oauth", "access_token": format!("e30.{claims}.real-signature"),
            "expires_at": 2_000_000_000,
        });
        members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Credential::parse(&members.to_string()).unwrap()
    }

    fn decoded(token: &str) -> Value {
        let claims = token.split('.').nth(1).unwrap();
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
    }

    #[test]
    fn the_tokens_have_the_real_ones_end_and_account_and_nothing_else_of_it() {
        let real = login(
            &json!({
                "exp": 2_000_000_000, "email": "me@example.org", "sub": "user-7",
                "https://api.openai.com/auth": {
                    "chatgpt_account_id": "acc-1", "chatgpt_plan_type": "pro", "user_id": "user-7",
                },
            }),
            json!({}),
        );
        let facts = Facts::of(&real);
        let phantom = facts.mint().unwrap();
        let text = facts.text(&phantom, 1_700_000_000);
        let file: Value = serde_json::from_str(text.expose()).unwrap();
        for token in ["access_token", "id_token"] {
            let token = file["tokens"][token].as_str().unwrap();
            assert_eq!(
                decoded(token),
                json!({"exp": 2_000_000_000, "https://api.openai.com/auth":
                       {"chatgpt_account_id": "acc-1", "chatgpt_plan_type": "pro"}})
            );
            assert!(token.starts_with("eyJ") && token.len() <= MAX_TOKEN);
            assert_eq!(token.split('.').filter(|part| !part.is_empty()).count(), 3);
        }
        assert_eq!(file["tokens"]["account_id"], "acc-1");
        assert_eq!(file["last_refresh"], "2023-11-14T22:13:20Z");
        let real = real.secret().unwrap();
        for part in real.expose().split('.').skip(1).chain(["me@example.org", "user-7"]) {
            assert!(!text.expose().contains(part), "{part}");
        }
    }

    #[test]
    fn no_phantom_is_minted_twice_and_the_id_token_opens_nothing() {
        let facts = Facts::of(&login(&json!({}), json!({"account_id": "acc-2"})));
        let (one, other) = (facts.mint().unwrap(), facts.mint().unwrap());
        assert_ne!(one.expose(), other.expose());
        let file: Value = serde_json::from_str(facts.text(&one, 0).expose()).unwrap();
        assert_ne!(file["tokens"]["id_token"], file["tokens"]["access_token"]);
        assert_eq!(file["tokens"]["account_id"], "acc-2");
    }

    #[test]
    fn a_login_that_the_vault_renews_does_not_end_in_the_container() {
        let renewed = login(&json!({}), json!({"refresh_token": "r"}));
        let phantom = Facts::of(&renewed).mint().unwrap();
        assert_eq!(decoded(phantom.expose())["exp"], 4_102_444_800_i64);
    }

    #[test]
    fn claims_that_are_no_identifiers_are_left_out() {
        let long = "x".repeat(2000);
        let odd = json!({"https://api.openai.com/auth":
                         {"chatgpt_account_id": long, "chatgpt_plan_type": "a b"}});
        let phantom = Facts::of(&login(&odd, json!({}))).mint().unwrap();
        assert_eq!(decoded(phantom.expose())["https://api.openai.com/auth"], json!({}));
    }
}

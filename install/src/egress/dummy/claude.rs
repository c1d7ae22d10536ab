//! Claude Code's `.credentials.json`, with the static marker where the access token would be: the
//! sidecar says which phantom token the marker stands for.

use serde_json::json;
use terok_shared::secret::Secret;
use terok_shared::token::{EntropyError, Form, STATIC_MARKERS, mint_phantom};
use vault_store::credential::Credential;

/// The provider, and the marker of its client.
const PROVIDER: &str = "anthropic";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// In Unix seconds.
    end: i64,
    subscription_type: Option<String>,
}

/// A phantom token in the form of the provider's own.
pub(super) fn mint() -> Result<Secret<String>, EntropyError> {
    Form::of(PROVIDER).map_or_else(mint_phantom, Form::mint)
}

impl Facts {
    pub(super) fn of(credential: &Credential) -> Self {
        let subscription_type = credential.member("subscription_type");
        Self {
            end: super::end(credential),
            subscription_type: subscription_type.map(|kind| kind.expose().clone()),
        }
    }

    pub(super) fn text(&self) -> Secret<String> {
        let marker = STATIC_MARKERS.iter().find(|(_, provider)| *provider == PROVIDER);
        let (marker, _) = marker.expect("the contract has a marker for this provider");
        let file = json!({ "claudeAiOauth": {
            "accessToken": marker,
            "refreshToken": super::NO_REFRESH_TOKEN,
            "expiresAt": self.end.saturating_mul(1000),
            "scopes": ["user:inference", "user:profile"],
            "subscriptionType": self.subscription_type,
        }});
        format!("{file:#}\n").into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_file_has_the_marker_the_real_end_and_no_secret() {
        let login = r#"{"type":"oauth","access_token":"sk-ant-oat01-real",
            "expires_at":2000000000,"subscription_type":"max"}"#;
        let text = Facts::of(&Credential::parse(login).unwrap()).text();
        let file: Value = serde_json::from_str(text.expose()).unwrap();
        let login = &file["claudeAiOauth"];
        assert_eq!(login["accessToken"], "terok-proxy-phantom-token:vault-handles-real-auth");
        assert_eq!(login["expiresAt"], 2_000_000_000_000_i64);
        assert_eq!(login["subscriptionType"], "max");
        assert!(!text.expose().contains("real\""));
    }

    #[test]
    fn the_phantom_looks_like_the_providers_own() {
        assert!(mint().unwrap().expose().starts_with("sk-ant-oat01-"));
    }
}

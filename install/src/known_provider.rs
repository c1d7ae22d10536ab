//! Providers that need no explaining: where their API is, how they want a credential, and which
//! variables their clients read. Any other provider works with `--upstream`.

use serde_json::{Map, Value, json};
use terok_shared::secret::Secret;
use terok_shared::token::Form;
use vault_store::credential::{Credential, KeyType, Kind};

/// What a variable in the container holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Token,
    /// The broker's address with this path appended.
    BaseUrl(&'static str),
}

/// The name a client looks up, and what it finds there.
pub(crate) type Variable = (&'static str, Content);

/// A provider's route, or `None` for one that is not known here.
///
/// `dynamic` sends keys as `x-api-key` and OAuth tokens as `Authorization: Bearer`.
pub(crate) fn route(provider: &str) -> Option<Map<String, Value>> {
    let route = match provider {
        "anthropic" => json!({
            "upstream": "https://api.anthropic.com",
            "auth_header": "dynamic",
            "auth_prefix": "",
            "oauth_extra_headers": { "anthropic-beta": "oauth-2025-04-20" },
        }),
        "openai" => json!({
            "upstream": "https://api.openai.com",
            "auth_header": "Authorization",
            "auth_prefix": "Bearer ",
            "path_upstreams": { "/backend-api/": "https://chatgpt.com" },
        }),
        "mistral" => bearer("https://api.mistral.ai"),
        "openrouter" => bearer("https://openrouter.ai"),
        "sonarcloud" => bearer("https://sonarcloud.io"),
        "github" => json!({
            "upstream": "https://api.github.com",
            "auth_header": "Authorization",
            "auth_prefix": "token ",
        }),
        "gitlab" => json!({
            "upstream": "https://gitlab.com",
            "auth_header": "PRIVATE-TOKEN",
            "auth_prefix": "",
        }),
        _ => return None,
    };
    match route {
        Value::Object(members) => Some(members),
        _ => None,
    }
}

fn bearer(upstream: &str) -> Value {
    json!({ "upstream": upstream, "auth_header": "Authorization", "auth_prefix": "Bearer " })
}

/// The names for the command line's help.
pub(crate) const NAMES: &str = "anthropic, github, gitlab, mistral, openai, openrouter, sonarcloud";

/// What a key for this provider usually is.
pub(crate) fn key_type(provider: &str) -> KeyType {
    match provider {
        "github" | "gitlab" => KeyType::PersonalAccessToken,
        _ => KeyType::ApiKey,
    }
}

/// A lone value for this provider: a key, unless it has the form of a login's access token.
pub(crate) fn credential(provider: &str, value: &Secret<String>) -> Credential {
    // What `claude setup-token` prints.
    if provider == "anthropic" && value.expose().starts_with("sk-ant-oat") {
        return Credential::oauth(value, None, None);
    }
    Credential::key(key_type(provider), value)
}

/// The form of a phantom token for clients of this provider, where some look at it before they
/// send it. The logins of these two have another form than their keys.
pub(crate) fn form(provider: &str, kind: Kind) -> Option<Form> {
    match (provider, kind) {
        ("anthropic" | "openai", Kind::Key) => None,
        _ => Form::of(provider),
    }
}

/// Variables that the provider's own clients read, besides `TEROK_<PROVIDER>_…`.
pub(crate) fn variables(provider: &str, kind: Kind) -> &'static [Variable] {
    use Content::{BaseUrl, Token};
    match (provider, kind) {
        // Clients that find both variables complain, so it is the one that fits the credential.
        ("anthropic", Kind::Key) => {
            &[("ANTHROPIC_API_KEY", Token), ("ANTHROPIC_BASE_URL", BaseUrl(""))]
        }
        ("anthropic", Kind::OAuth) => {
            &[("ANTHROPIC_AUTH_TOKEN", Token), ("ANTHROPIC_BASE_URL", BaseUrl(""))]
        }
        // A login of Codex is for another API than keys are.
        ("openai", Kind::OAuth) => {
            &[("OPENAI_API_KEY", Token), ("OPENAI_BASE_URL", BaseUrl("/backend-api/codex"))]
        }
        // OpenAI's libraries expect the version in the base URL.
        ("openai", Kind::Key) => &[("OPENAI_API_KEY", Token), ("OPENAI_BASE_URL", BaseUrl("/v1"))],
        ("mistral", _) => &[("MISTRAL_API_KEY", Token)],
        ("openrouter", _) => &[("OPENROUTER_API_KEY", Token)],
        ("sonarcloud", _) => &[("SONAR_TOKEN", Token), ("SONAR_HOST_URL", BaseUrl(""))],
        ("github", _) => &[("GH_TOKEN", Token), ("GITHUB_API_URL", BaseUrl(""))],
        ("gitlab", _) => &[("GITLAB_TOKEN", Token)],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use terok_shared::routes::RouteTable;

    use super::*;

    #[test]
    fn every_known_route_is_one_the_broker_accepts() {
        for name in NAMES.split(", ") {
            let table = json!({ name: route(name).unwrap() }).to_string();
            let table = RouteTable::parse(Path::new("routes.json"), table.as_bytes()).unwrap();
            assert!(table.get(name).unwrap().upstream.tls, "{name}");
            assert!(!variables(name, Kind::Key).is_empty(), "{name}");
        }
        assert!(route("elsewhere").is_none());
    }
}

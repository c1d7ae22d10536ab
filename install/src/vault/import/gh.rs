//! GitHub CLI's `hosts.yml`.

use terok_shared::secret::Secret;
use vault_store::credential::{Credential, KeyType};

use super::{ContentError, Finds, Found};
use crate::yaml::Settings;

pub(super) const HOST: &str = "github.com";

const PROVIDER: &str = "github";

pub(super) fn read(text: &str, host: &str) -> Result<Finds, ContentError> {
    let settings = Settings::parse(text)?;
    let token = token(&settings, host).ok_or_else(|| ContentError::NoCredential {
        what: "no token for this host in it",
        hint: format!(
            "gh keeps it in the system's keyring: run `gh auth token --hostname {host} | \
             terokctl vault add {PROVIDER}`"
        ),
    })?;
    let mut found = Found::usual(PROVIDER, Credential::key(KeyType::OAuthToken, token));
    if host != HOST {
        found.route.upstream = Some(format!("https://{host}/api/v3"));
        found.route.auth_prefix = Some("token ".to_owned());
    }
    Ok(Finds { found: vec![found], notes: vec![] })
}

/// The host's own token, else that of the account in use.
fn token<'a>(settings: &'a Settings, host: &str) -> Option<&'a Secret<String>> {
    settings.get(&[host, "oauth_token"]).or_else(|| {
        let user = settings.get(&[host, "user"])?;
        settings.get(&[host, "users", user.expose(), "oauth_token"])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "github.com:\n    git_protocol: https\n    users:\n        me:\n            \
        oauth_token: gho_me\n        other:\n            oauth_token: gho_other\n    user: me\n\
        ghe.example:\n    oauth_token: gho_ent\n    user: me\nkept.example:\n    user: me\n";

    fn secret(host: &str) -> Option<String> {
        let finds = read(FILE, host).ok()?;
        finds.found[0].credential.secret().map(|secret| secret.expose().clone())
    }

    #[test]
    fn the_token_of_the_account_in_use_is_found() {
        assert_eq!(secret("github.com").as_deref(), Some("gho_me"));
        assert_eq!(secret("ghe.example").as_deref(), Some("gho_ent"));
    }

    #[test]
    fn another_hosts_route_leads_there() {
        let finds = read(FILE, "ghe.example").unwrap();
        let upstream = finds.found[0].route.upstream.as_deref();
        assert_eq!(upstream, Some("https://ghe.example/api/v3"));
    }

    #[test]
    fn a_token_that_gh_keeps_elsewhere_is_told_with_a_way_out() {
        for host in ["kept.example", "absent.example"] {
            let why = read(FILE, host).unwrap_err().to_string();
            assert!(why.contains("hint: ") && why.contains("gh auth token"), "{why}");
        }
    }
}

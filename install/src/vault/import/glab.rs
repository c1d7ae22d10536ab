//! GitLab CLI's `config.yml`.

use vault_store::credential::{Credential, KeyType};

use super::{ContentError, Finds, Found};
use crate::yaml::Settings;

pub(super) const HOST: &str = "gitlab.com";

const PROVIDER: &str = "gitlab";

pub(super) fn read(text: &str, host: &str) -> Result<Finds, ContentError> {
    let settings = Settings::parse(text)?;
    let setting = |name| settings.get(&["hosts", host, name]);
    let token = setting("token").ok_or_else(|| ContentError::NoCredential {
        what: "no token for this host in it",
        hint: "run `glab auth login`, or `terokctl vault add gitlab` with a personal token".into(),
    })?;
    let mut notes = Vec::new();
    // The token of a login goes into another header than a personal one.
    let credential = match setting("is_oauth2") {
        Some(yes) if yes.matches("true") => {
            notes.push(format!(
                "it is the token of a login, which ends within hours; a personal token of {host} \
                 lasts"
            ));
            Credential::oauth(token, None, None)
        }
        _ => Credential::key(KeyType::PersonalAccessToken, token),
    };
    let mut found = Found::usual(PROVIDER, credential);
    if host != HOST {
        found.route.upstream = Some(format!("https://{host}"));
        found.route.auth_header = Some("PRIVATE-TOKEN".to_owned());
    }
    Ok(Finds { found: vec![found], notes })
}

#[cfg(test)]
mod tests {
    use vault_store::credential::Kind;

    use super::*;

    const FILE: &str = "git_protocol: ssh\nhosts:\n    gitlab.com:\n        token: !!null glpat-1\n\
        \x20       api_host: gitlab.com\n    git.example:\n        token: opaque\n        \
        is_oauth2: \"true\"\n";

    #[test]
    fn a_personal_token_is_found_behind_its_tag() {
        let finds = read(FILE, HOST).unwrap();
        let credential = &finds.found[0].credential;
        assert_eq!(credential.secret().unwrap().expose(), "glpat-1");
        assert_eq!(credential.kind(), Kind::Key);
    }

    #[test]
    fn a_logins_token_is_presented_as_one() {
        let finds = read(FILE, "git.example").unwrap();
        assert_eq!(finds.found[0].credential.kind(), Kind::OAuth);
        assert_eq!(finds.found[0].route.upstream.as_deref(), Some("https://git.example"));
        assert_eq!(finds.notes.len(), 1);
        assert!(read(FILE, "absent.example").is_err());
    }
}

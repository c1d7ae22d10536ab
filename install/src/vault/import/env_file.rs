//! Lines of `VARIABLE=VALUE`, as shells and container engines read them. Variables that providers'
//! own clients read become credentials; the others are passed over.

use terok_shared::secret::Secret;
use vault_store::credential::{Credential, KeyType};

use super::{ContentError, Finds, Found};

/// How a variable's value is presented.
#[derive(Clone, Copy)]
enum Value {
    Key(KeyType),
    /// As `Authorization: Bearer`, with the headers of a login.
    AccessToken,
}

const KNOWN: [(&str, &str, Value); 10] = [
    ("ANTHROPIC_API_KEY", "anthropic", Value::Key(KeyType::ApiKey)),
    ("ANTHROPIC_AUTH_TOKEN", "anthropic", Value::AccessToken),
    ("CLAUDE_CODE_OAUTH_TOKEN", "anthropic", Value::AccessToken),
    ("OPENAI_API_KEY", "openai", Value::Key(KeyType::ApiKey)),
    ("MISTRAL_API_KEY", "mistral", Value::Key(KeyType::ApiKey)),
    ("OPENROUTER_API_KEY", "openrouter", Value::Key(KeyType::ApiKey)),
    ("SONAR_TOKEN", "sonarcloud", Value::Key(KeyType::ApiKey)),
    ("GH_TOKEN", "github", Value::Key(KeyType::PersonalAccessToken)),
    ("GITHUB_TOKEN", "github", Value::Key(KeyType::PersonalAccessToken)),
    ("GITLAB_TOKEN", "gitlab", Value::Key(KeyType::PersonalAccessToken)),
];

pub(super) fn read(text: &str) -> Result<Finds, ContentError> {
    let mut finds = Finds::default();
    for (name, value) in text.lines().filter_map(assignment) {
        let Some((_, provider, kind)) = KNOWN.iter().find(|(known, ..)| *known == name) else {
            continue;
        };
        if finds.found.iter().any(|found| found.provider.as_str() == *provider) {
            finds
                .notes
                .push(format!("{name} was passed over: {provider} has a credential already"));
            continue;
        }
        let credential = match kind {
            Value::Key(kind) => Credential::key(*kind, &value),
            Value::AccessToken => Credential::oauth(&value, None, None),
        };
        finds.found.push(Found::usual(provider, credential));
    }
    if finds.found.is_empty() {
        let known: Vec<&str> = KNOWN.iter().map(|(name, ..)| *name).collect();
        return Err(ContentError::NoCredential {
            what: "none of the known variables is set in it",
            hint: format!("known are {}; others go in with `vault add`", known.join(", ")),
        });
    }
    Ok(finds)
}

/// `[export ]NAME=VALUE`, the value perhaps in quotes. Nothing is expanded.
fn assignment(line: &str) -> Option<(&str, Secret<String>)> {
    let line = line.trim();
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let (name, value) = line.split_once('=')?;
    let value = value.trim();
    let quoted = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.split_once(*quote).map(|(value, _)| value));
    let plain = || value.split_once(" #").map_or(value, |(value, _)| value.trim_end());
    let value = quoted.unwrap_or_else(plain);
    (!value.is_empty()).then(|| (name.trim_end(), value.to_owned().into()))
}

#[cfg(test)]
mod tests {
    use vault_store::credential::Kind;

    use super::*;

    #[test]
    fn known_variables_become_credentials() {
        let text = "# keys\nexport ANTHROPIC_API_KEY='sk-a'\nGITHUB_TOKEN=ghp_1 # mine\n\
                    GH_TOKEN=\"ghp_2\"\nPATH=/bin\nMISTRAL_API_KEY=\n  OPENAI_API_KEY = sk-o\n";
        let finds = read(text).unwrap();
        let found: Vec<(String, String)> = finds
            .found
            .iter()
            .map(|f| (f.provider.to_string(), f.credential.secret().unwrap().expose().clone()))
            .collect();
        let expected = [("anthropic", "sk-a"), ("github", "ghp_1"), ("openai", "sk-o")];
        assert_eq!(found, expected.map(|(p, s)| (p.to_owned(), s.to_owned())));
        assert_eq!(finds.notes, ["GH_TOKEN was passed over: github has a credential already"]);
    }

    #[test]
    fn an_access_token_is_presented_as_one() {
        let finds = read("CLAUDE_CODE_OAUTH_TOKEN=t").unwrap();
        assert_eq!(finds.found[0].credential.kind(), Kind::OAuth);
    }

    #[test]
    fn a_file_without_known_variables_is_refused_without_being_quoted() {
        for text in ["", "SECRET=hunter2", "# GH_TOKEN=hunter2", "hunter2"] {
            let why = read(text).unwrap_err().to_string();
            assert!(why.contains("GH_TOKEN") && !why.contains("hunter2"), "{why}");
        }
    }
}

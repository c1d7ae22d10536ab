//! An object of credentials by provider, each an object as the vault keeps it.

use serde_json::{Map, Value};
use vault_store::credential::Credential;

use super::{ContentError, Finds, Found, json};
use crate::cli::RouteArgs;
use crate::credential_name::ProviderName;

pub(super) fn read(text: &str) -> Result<Finds, ContentError> {
    let entries: Map<String, Value> = json(text)?;
    let mut finds = Finds::default();
    for (name, entry) in entries {
        let provider = ProviderName::parse(&name)
            .map_err(|_| ContentError::NotAProvider { name: name.clone() })?;
        let credential = match entry {
            Value::Object(members) => Some(Credential::of_members(members)),
            _ => None,
        };
        let credential =
            credential.filter(|credential| credential.secret().is_some()).ok_or_else(|| {
                ContentError::NoCredential {
                    what: "an entry is no credential",
                    hint: format!(
                        "look at {name:?}; expected {{\"{name}\": {{\"type\": \"api_key\", \
                     \"key\": …}}}}"
                    ),
                }
            })?;
        finds.found.push(Found { provider, credential, route: RouteArgs::default() });
    }
    if finds.found.is_empty() {
        return Err(ContentError::NoCredential {
            what: "no credential in it",
            hint: "expected {\"github\": {\"type\": \"pat\", \"token\": …}, …}".into(),
        });
    }
    Ok(finds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_a_credential_of_its_provider() {
        let text = r#"{"mine": {"type": "api_key", "key": "k", "x": 1},
                       "anthropic": {"access_token": "at", "refresh_token": "rt"}}"#;
        let finds = read(text).unwrap();
        let names: Vec<&str> = finds.found.iter().map(|f| f.provider.as_str()).collect();
        assert_eq!(names, ["anthropic", "mine"]);
        assert_eq!(finds.found[1].credential.secret().unwrap().expose(), "k");
        assert_eq!(finds.found[1].credential.member("x").unwrap().expose(), "1");
    }

    #[test]
    fn what_is_no_credential_is_named_and_not_quoted() {
        for text in [
            "{}",
            "[]",
            r#"{"p": "hunter2"}"#,
            r#"{"p": {"type": "oauth", "key": "hunter2"}}"#,
            r#"{"a/b": {"key": "hunter2"}}"#,
            r#"{"ssh": {"key": "hunter2"}}"#,
            r#"{"p": hunter2}"#,
        ] {
            let why = read(text).unwrap_err().to_string();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}

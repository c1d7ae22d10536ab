//! One entry of the token env map: the provider a token is for, and the name it is found under.

use crate::credential_name::ProviderName;

/// `PROVIDER=HOST_VARIABLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenRef {
    pub(crate) provider: ProviderName,
    /// The token ref: a variable of this machine's environment, or of what was provisioned.
    pub(crate) variable: String,
}

impl TokenRef {
    /// # Errors
    /// In words for the command line. A value in the variable's place is not quoted: it could be
    /// the token itself.
    pub(crate) fn parse(word: &str) -> Result<Self, String> {
        let (provider, variable) =
            word.split_once('=').ok_or("expected PROVIDER=HOST_VARIABLE".to_owned())?;
        let provider = ProviderName::parse(provider).map_err(|why| why.to_string())?;
        // POSIX.1-2024, XBD section 8.1.
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
        let plain = |c: char| letter(c) || c.is_ascii_digit();
        if !variable.starts_with(letter) || !variable.chars().all(plain) || is_value(variable) {
            return Err("expected the name of a variable after `=`, not a value".to_owned());
        }
        Ok(Self { provider, variable: variable.to_owned() })
    }
}

/// Tokens of some providers could be names of variables. They would be told as one that is unset.
fn is_value(word: &str) -> bool {
    let has = |kind: fn(&char) -> bool| word.chars().any(|c| kind(&c));
    word.len() >= 32 && has(char::is_ascii_lowercase) && has(char::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_and_a_variable_make_an_entry() {
        let token = TokenRef::parse("github=MY_TOKEN_2").unwrap();
        assert_eq!((token.provider.as_str(), token.variable.as_str()), ("github", "MY_TOKEN_2"));
    }

    #[test]
    fn a_value_in_the_variables_place_is_refused_without_being_quoted() {
        for word in [
            "github",
            "github=",
            "=X",
            "ssh=X",
            "github=hunter2-x",
            "github=ghp_hunter2hunter2hunter2hunter2hunt",
            "github=2X",
            "a b=X",
        ] {
            let why = TokenRef::parse(word).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }
}

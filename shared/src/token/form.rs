//! The forms that providers' own tokens have. Some clients look at a token before they send it;
//! one minted in its provider's form passes, and is as worthless outside as any other.

use super::EntropyError;
use crate::secret::Secret;

/// What a provider's tokens look like: fixed text, then random characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    provider: &'static str,
    prefix: &'static str,
    alphabet: &'static [u8],
    random: usize,
}

const HEX: &[u8] = b"0123456789abcdef";
const ALPHANUMERIC: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The head and claims of a JWT (RFC 7519) that says nothing and ends in the year 2100, before a
/// signature of random characters.
const JWT: &str = "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjQxMDI0NDQ4MDAsInN1YiI6InBoYW50b20iLCJodHRwczovL2FwaS5vcGVuYWkuY29tL2F1dGgiOnsiY2hhdGdwdF9hY2NvdW50X2lkIjoicGhhbnRvbSIsImNoYXRncHRfcGxhbl90eXBlIjoicHJvIn19.";

const FORMS: [Form; 7] = [
    form("anthropic", "sk-ant-oat01-", ALPHANUMERIC, 95),
    form("github", "ghp_", ALPHANUMERIC, 36),
    form("gitlab", "glpat-", ALPHANUMERIC, 22),
    form("mistral", "", ALPHANUMERIC, 32),
    form("openai", JWT, ALPHANUMERIC, 342),
    form("openrouter", "sk-or-v1-", HEX, 64),
    form("sonarcloud", "", HEX, 40),
];

const fn form(
    provider: &'static str,
    prefix: &'static str,
    alphabet: &'static [u8],
    random: usize,
) -> Form {
    Form { provider, prefix, alphabet, random }
}

impl Form {
    /// The form of this provider's tokens, if it is known here.
    pub fn of(provider: &str) -> Option<Self> {
        FORMS.into_iter().find(|form| form.provider == provider)
    }

    /// Providers whose form is known.
    pub fn providers() -> impl Iterator<Item = &'static str> {
        FORMS.iter().map(|form| form.provider)
    }

    /// A new token: at least 128 random bits, so nobody guesses another container's.
    pub fn mint(self) -> Result<Secret<String>, EntropyError> {
        let mut token = String::with_capacity(self.prefix.len() + self.random);
        token.push_str(self.prefix);
        let mut random = [0u8; 64];
        // The rest of the bytes would make some characters likelier than others.
        let usable = 256 - 256 % self.alphabet.len();
        while token.len() < self.prefix.len() + self.random {
            getrandom::fill(&mut random).map_err(EntropyError)?;
            let left = self.prefix.len() + self.random - token.len();
            let fair = random.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < usable);
            token.extend(
                fair.take(left).map(|byte| char::from(self.alphabet[byte % self.alphabet.len()])),
            );
        }
        Ok(Secret::from(token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::MAX_TOKEN;

    #[test]
    fn each_form_is_its_providers_and_no_token_is_minted_twice() {
        for provider in Form::providers() {
            let form = Form::of(provider).unwrap();
            let (one, other) = (form.mint().unwrap(), form.mint().unwrap());
            assert_ne!(one.expose(), other.expose(), "{provider}");
            assert!(one.expose().starts_with(form.prefix), "{provider}");
            assert_eq!(one.expose().len(), form.prefix.len() + form.random, "{provider}");
            assert!(one.expose().len() <= MAX_TOKEN, "{provider}");
        }
        assert!(Form::of("nobody").is_none());
    }

    #[test]
    fn no_form_can_be_guessed() {
        for form in FORMS {
            let bits = form.random as f64 * (form.alphabet.len() as f64).log2();
            assert!(bits >= 128.0, "{}: {bits} bits", form.provider);
        }
    }

    #[test]
    fn the_jwt_has_three_parts_in_its_alphabet() {
        let token = Form::of("openai").unwrap().mint().unwrap();
        let parts: Vec<&str> = token.expose().split('.').collect();
        assert_eq!(parts.len(), 3);
        for part in parts {
            let base64url = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            assert!(part.bytes().all(base64url) && part.len() % 4 != 1, "{part}");
        }
    }
}

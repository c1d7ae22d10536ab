//! The two worthless strings a container holds: phantom tokens and its gate token.

mod form;

use std::fmt;

use crate::secret::Secret;
pub use form::Form;

/// `terok-p-` and 32 hex digits: a row of the vault's `proxy_tokens`.
pub const PHANTOM_PREFIX: &str = "terok-p-";
/// `terok-g-` and 32 hex digits: the one user name the git gate accepts.
pub const GATE_PREFIX: &str = "terok-g-";

/// Longest token a peer may present; longer is unknown without a look.
pub const MAX_TOKEN: usize = 1024;

/// Static markers of clients that insist on a credential of their own (CONTRACT 7), and the
/// provider whose `default` credential each one stands for.
pub const STATIC_MARKERS: [(&str, &str); 2] = [
    ("terok-proxy-phantom-token:vault-handles-real-auth", "anthropic"),
    ("terok-proxy-codex-oauth-marker:vault-handles-real-auth", "openai"),
];

#[derive(Debug)]
pub struct EntropyError(getrandom::Error);

/// A new phantom token: 128 random bits, so nobody guesses another container's.
pub fn mint_phantom() -> Result<Secret<String>, EntropyError> {
    mint(PHANTOM_PREFIX)
}

pub fn mint_gate() -> Result<Secret<String>, EntropyError> {
    mint(GATE_PREFIX)
}

fn mint(prefix: &str) -> Result<Secret<String>, EntropyError> {
    let mut bits = [0u8; 16];
    getrandom::fill(&mut bits).map_err(EntropyError)?;
    Ok(Secret::from(format!("{prefix}{}", hex::encode(bits))))
}

impl fmt::Display for EntropyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "read random bits for a token: {}", self.0)
    }
}

impl std::error::Error for EntropyError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minted_tokens_have_the_contract_form_and_differ() {
        let (a, b) = (mint_phantom().unwrap(), mint_phantom().unwrap());
        assert_ne!(a.expose(), b.expose());
        let digits = a.expose().strip_prefix(PHANTOM_PREFIX).unwrap();
        assert_eq!(digits.len(), 32);
        assert!(digits.bytes().all(|b| b.is_ascii_hexdigit()));
        assert!(mint_gate().unwrap().expose().starts_with(GATE_PREFIX));
    }
}

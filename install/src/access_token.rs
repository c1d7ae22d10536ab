//! What an access token says of itself, when it is a JSON Web Token (RFC 7519): nobody checks the
//! signature here, the token is the operator's own.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use terok_shared::secret::Secret;

#[derive(Deserialize)]
struct Claims {
    exp: Option<i64>,
}

/// When it expires, in Unix seconds; `None` when it does not say so.
pub(crate) fn expires_at(token: &str) -> Option<i64> {
    claims::<Claims>(token)?.exp
}

/// Its claims, as far as the caller knows them; `None` for a token of another kind.
pub(crate) fn claims<T: DeserializeOwned>(token: &str) -> Option<T> {
    let claims = token.split('.').nth(1)?.trim_end_matches('=');
    let claims = Secret::from(BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?);
    serde_json::from_slice(claims.expose()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_read_from_the_claims() {
        let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"exp":1700000000,"sub":"x"}"#);
        assert_eq!(expires_at(&format!("e30.{claims}.sig")), Some(1_700_000_000));
        for odd in ["", "opaque", "a.b.c", "e30.e30.x", "e30.!.x"] {
            assert_eq!(expires_at(odd), None, "{odd}");
        }
    }
}

//! Who is asking: HTTP Basic authentication (RFC 7617) with the gate token as the user name and
//! any password.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use terok_shared::secret::Secret;
use terok_shared::token::MAX_TOKEN;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Granted,
    /// No credentials, or none that can be read: ask for them. git sends none at first.
    Missing,
    Wrong,
}

/// Judges the value of an `Authorization` header. The token is compared in constant time.
pub(crate) fn judge(authorization: Option<&[u8]>, token: &Secret<String>) -> Verdict {
    let Some(presented) = authorization.and_then(user_name) else { return Verdict::Missing };
    if presented.expose().len() <= MAX_TOKEN && token.matches(presented.expose()) {
        Verdict::Granted
    } else {
        Verdict::Wrong
    }
}

/// The user name of `Basic <base64 of name ":" password>`; the scheme's case does not matter
/// (RFC 7617 § 2).
fn user_name(authorization: &[u8]) -> Option<Secret<String>> {
    let text = std::str::from_utf8(authorization).ok()?;
    let (scheme, credentials) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Secret::from(STANDARD.decode(credentials.trim()).ok()?);
    let (name, _password) = std::str::from_utf8(decoded.expose()).ok()?.split_once(':')?;
    (!name.is_empty()).then(|| Secret::from(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(authorization: &str) -> Verdict {
        judge(Some(authorization.as_bytes()), &Secret::from("terok-g-1".to_owned()))
    }

    fn basic(credentials: &str) -> String {
        format!("Basic {}", STANDARD.encode(credentials))
    }

    #[test]
    fn the_token_as_user_name_opens_with_any_password() {
        assert_eq!(verdict(&basic("terok-g-1:")), Verdict::Granted);
        assert_eq!(verdict(&basic("terok-g-1:x:y")), Verdict::Granted);
        assert_eq!(verdict(&basic("terok-g-1:").replace("Basic", "bASIC")), Verdict::Granted);
    }

    #[test]
    fn another_user_name_is_wrong() {
        for credentials in ["terok-g-2:", "terok-g-:", "terok-g-11:", "x:terok-g-1"] {
            assert_eq!(verdict(&basic(credentials)), Verdict::Wrong, "{credentials}");
        }
        assert_eq!(verdict(&basic(&format!("{}:", "t".repeat(MAX_TOKEN + 1)))), Verdict::Wrong);
    }

    #[test]
    fn what_is_no_basic_header_counts_as_none() {
        assert_eq!(judge(None, &Secret::from(String::new())), Verdict::Missing);
        for header in ["", "Basic", "Basic !!", "Bearer terok-g-1", &basic(":p"), &basic("no")] {
            assert_eq!(verdict(header), Verdict::Missing, "{header}");
        }
        assert_eq!(judge(Some(b"Basic \xff"), &Secret::from(String::new())), Verdict::Missing);
    }
}

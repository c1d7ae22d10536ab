//! Where a client puts its token: `Authorization` with any scheme, else `x-api-key`, else
//! `private-token`.

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName};
use terok_shared::token::MAX_TOKEN;

/// In the order they are looked at; none of them ever goes on to an upstream.
const TOKEN_HEADERS: [HeaderName; 3] =
    [AUTHORIZATION, HeaderName::from_static("x-api-key"), HeaderName::from_static("private-token")];

/// Whether a token may be in it.
pub(crate) fn is_token_header(name: &HeaderName) -> bool {
    TOKEN_HEADERS.contains(name)
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Presented<'a> {
    Nothing,
    /// Something that can be no token: too long, or not text.
    Garbage,
    Token(&'a str),
}

/// The token of a request; the first header that is not empty counts, whatever it holds.
pub(crate) fn presented(headers: &HeaderMap) -> Presented<'_> {
    let Some(value) = TOKEN_HEADERS.iter().find_map(|name| {
        headers.get(name).filter(|value| !value.as_bytes().iter().all(u8::is_ascii_whitespace))
    }) else {
        return Presented::Nothing;
    };
    let Ok(text) = value.to_str() else { return Presented::Garbage };
    match without_scheme(text) {
        token if token.len() > MAX_TOKEN => Presented::Garbage,
        token => Presented::Token(token),
    }
}

/// `Bearer X`, `token X`: credentials follow a scheme and blanks (RFC 9110 section 11.4); a lone
/// word is the token itself.
fn without_scheme(value: &str) -> &str {
    let value = value.trim_ascii();
    value.split_once([' ', '\t']).map_or(value, |(_scheme, token)| token.trim_ascii_start())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn the_scheme_is_stripped_whatever_it_is() {
        for value in ["Bearer t-1", "bearer  t-1", "token t-1", "t-1"] {
            assert_eq!(
                presented(&headers(&[("authorization", value)])),
                Presented::Token("t-1"),
                "{value}"
            );
        }
    }

    #[test]
    fn the_first_header_with_something_in_it_counts() {
        for (lines, token) in [
            (&[("private-token", "p"), ("x-api-key", "k"), ("authorization", "Bearer a")][..], "a"),
            (&[("private-token", "p"), ("x-api-key", "k")], "k"),
            (&[("private-token", "p")], "p"),
            (&[("authorization", ""), ("x-api-key", "k")], "k"),
        ] {
            assert_eq!(presented(&headers(lines)), Presented::Token(token));
        }
    }

    #[test]
    fn no_header_is_nothing_and_an_endless_one_is_garbage() {
        assert_eq!(presented(&headers(&[("accept", "*/*")])), Presented::Nothing);
        let mut endless = HeaderMap::new();
        endless.insert(AUTHORIZATION, "x".repeat(MAX_TOKEN + 1).parse().unwrap());
        assert_eq!(presented(&endless), Presented::Garbage);
        let mut binary = HeaderMap::new();
        binary.insert(AUTHORIZATION, HeaderValue::from_bytes(b"Bearer \xff").unwrap());
        assert_eq!(presented(&binary), Presented::Garbage);
    }
}

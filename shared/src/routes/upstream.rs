//! An upstream's URL, taken apart once: scheme, authority and the base path put before every
//! request's own (RFC 3986 section 3).

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub tls: bool,
    /// Host and, when it is not the scheme's own, port.
    pub authority: String,
    /// Percent-encoded, without a slash at its end; empty for the root.
    pub base_path: String,
}

/// What is wrong with a URL; the URL itself may be a secret's neighbour and is not repeated.
#[derive(Debug, PartialEq, Eq)]
pub enum UpstreamError {
    Scheme,
    UserInfo,
    QueryOrFragment,
    Host,
    Port,
    Characters,
}

impl Upstream {
    pub fn parse(url: &str) -> Result<Self, UpstreamError> {
        let (scheme, rest) = url.split_once("://").ok_or(UpstreamError::Scheme)?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(UpstreamError::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(UpstreamError::QueryOrFragment);
        }
        // `"<>\^`{|}` and blanks are in no URL; some parsers take a backslash for a slash.
        if !rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte)) {
            return Err(UpstreamError::Characters);
        }
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        check_authority(authority)?;
        Ok(Self {
            tls,
            authority: authority.to_owned(),
            base_path: path.trim_end_matches('/').to_owned(),
        })
    }
}

fn check_authority(authority: &str) -> Result<(), UpstreamError> {
    if authority.contains('@') {
        return Err(UpstreamError::UserInfo);
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(literal) => {
            let (address, after) = literal.split_once(']').ok_or(UpstreamError::Host)?;
            address.parse::<std::net::Ipv6Addr>().map_err(|_| UpstreamError::Host)?;
            match after.strip_prefix(':') {
                Some(port) => (address, Some(port)),
                None if after.is_empty() => (address, None),
                None => return Err(UpstreamError::Host),
            }
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err(UpstreamError::Host);
    }
    match port {
        Some(port) if !port.bytes().all(|b| b.is_ascii_digit()) => Err(UpstreamError::Port),
        Some(port) => match port.parse::<u16>() {
            Ok(1..) => Ok(()),
            _ => Err(UpstreamError::Port),
        },
        None => Ok(()),
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheme => "expected an `http://` or `https://` URL",
            Self::UserInfo => "must not carry a user name or password",
            Self::QueryOrFragment => "must not have a query or fragment",
            Self::Host => "has no usable host",
            Self::Port => "has a port outside 1 to 65535",
            Self::Characters => "has a character that no URL has",
        })
    }
}

impl std::error::Error for UpstreamError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        for (url, tls, authority, base_path) in [
            ("https://api.example.com", true, "api.example.com", ""),
            ("https://api.example.com/", true, "api.example.com", ""),
            ("http://127.0.0.1:8080/a/b/", false, "127.0.0.1:8080", "/a/b"),
            ("HTTPS://[::1]:443/v1", true, "[::1]:443", "/v1"),
        ] {
            let upstream = Upstream::parse(url).unwrap();
            assert_eq!(
                (upstream.tls, upstream.authority.as_str(), upstream.base_path.as_str()),
                (tls, authority, base_path),
                "{url}"
            );
        }
    }

    #[test]
    fn what_is_no_plain_base_url_is_refused() {
        for (url, why) in [
            ("", UpstreamError::Scheme),
            ("api.example.com", UpstreamError::Scheme),
            ("ftp://h/", UpstreamError::Scheme),
            ("https://", UpstreamError::Host),
            ("https:///path", UpstreamError::Host),
            ("https://:80", UpstreamError::Host),
            ("https://user@h", UpstreamError::UserInfo),
            ("https://u:p@h/", UpstreamError::UserInfo),
            ("https://h/?a=b", UpstreamError::QueryOrFragment),
            ("https://h/#top", UpstreamError::QueryOrFragment),
            ("https://h:0/", UpstreamError::Port),
            ("https://h:99999/", UpstreamError::Port),
            ("https://h:+80/", UpstreamError::Port),
            ("https://h:", UpstreamError::Port),
            ("https://[::1/", UpstreamError::Host),
            ("https://[nope]/", UpstreamError::Host),
            ("https://h\\@evil/", UpstreamError::Characters),
            ("https://h h/", UpstreamError::Characters),
            ("https://h/\r\nx: y", UpstreamError::Characters),
        ] {
            assert_eq!(Upstream::parse(url), Err(why), "{url}");
        }
    }
}

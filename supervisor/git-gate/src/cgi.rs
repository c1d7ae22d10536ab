//! The Common Gateway Interface (RFC 3875): a request as variables, and the head of a script's
//! response.
//!
//! The variables are chosen one by one, so no header of a client reaches git's environment but
//! those git's own protocol needs.

use std::fmt;

use hyper::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{Method, StatusCode};

use crate::route::{Repository, Resource};

/// Largest head of a response; git's own has a few hundred bytes.
pub(crate) const MAX_HEAD: usize = 16 * 1024;
/// Longest header value that is handed to git.
const MAX_VALUE: usize = 256;

/// The variable that names the coding of a request's body.
pub(crate) const CODING: &str = "HTTP_CONTENT_ENCODING";

/// A variable of the backend's environment.
pub(crate) type Variable = (&'static str, String);

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CgiError {
    /// A content coding that `git http-backend` does not undo.
    UnknownCoding,
    NoColon {
        line: usize,
    },
    BadField {
        line: usize,
    },
    BadStatus,
}

/// The variables of one request (RFC 3875 § 4.1). `CONTENT_LENGTH` is left out on purpose, whether
/// or not the client sent it: `git http-backend` then reads to the end of its standard input, and
/// hands it to `git receive-pack` as it is instead of copying it.
pub(crate) fn variables(
    method: &Method,
    repository: &Repository,
    resource: Resource,
    headers: &HeaderMap,
) -> Result<Vec<Variable>, CgiError> {
    let (path, query) = resource.path_and_query();
    let mut variables = vec![
        ("GATEWAY_INTERFACE", "CGI/1.1".to_owned()),
        ("SERVER_PROTOCOL", "HTTP/1.1".to_owned()),
        ("REQUEST_METHOD", method.as_str().to_owned()),
        ("PATH_INFO", format!("/{}/{path}", repository.directory())),
        ("QUERY_STRING", query.to_owned()),
        ("REMOTE_USER", "token".to_owned()),
    ];
    if let Some(kind) = plain(headers, &CONTENT_TYPE) {
        variables.push(("CONTENT_TYPE", kind));
    }
    if let Some(coding) = coding(headers)? {
        variables.push((CODING, coding.to_owned()));
    }
    if let Some(protocol) = plain(headers, &HeaderName::from_static("git-protocol")) {
        // Older versions of git read only the second.
        variables.push(("HTTP_GIT_PROTOCOL", protocol.clone()));
        variables.push(("GIT_PROTOCOL", protocol));
    }
    Ok(variables)
}

/// A header's value when it is short and made of visible ASCII and spaces.
fn plain(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    let fits = value.len() <= MAX_VALUE && value.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    fits.then(|| value.to_owned())
}

fn coding(headers: &HeaderMap) -> Result<Option<&'static str>, CgiError> {
    let Some(value) = headers.get(CONTENT_ENCODING) else { return Ok(None) };
    match value.as_bytes() {
        b"gzip" | b"x-gzip" => Ok(Some("gzip")),
        b"identity" => Ok(None),
        _ => Err(CgiError::UnknownCoding),
    }
}

/// Where the head of a response ends and its body begins; `None` while there is no empty line.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    while let Some(length) = bytes[line_start..].iter().position(|&byte| byte == b'\n') {
        let line = &bytes[line_start..line_start + length];
        line_start += length + 1;
        if line.is_empty() || line == b"\r" {
            return Some(line_start);
        }
    }
    None
}

/// Reads a head (RFC 3875 § 6.3): header fields, of which `Status` is meant for us.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Head, CgiError> {
    let mut head = Head { status: StatusCode::OK, headers: HeaderMap::new() };
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let number = index + 1;
        let colon =
            line.iter().position(|&byte| byte == b':').ok_or(CgiError::NoColon { line: number })?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"status") {
            let code = value.split(|&byte| byte == b' ').next().unwrap_or_default();
            head.status = StatusCode::from_bytes(code).map_err(|_| CgiError::BadStatus)?;
            continue;
        }
        let bad = CgiError::BadField { line: number };
        let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        else {
            return Err(bad);
        };
        if !is_ours(&name) {
            head.headers.append(name, value);
        }
    }
    Ok(head)
}

/// Fields that say how our own connection works (RFC 9110 § 7.6.1) are not the script's to set.
fn is_ours(name: &HeaderName) -> bool {
    [CONNECTION, TRANSFER_ENCODING, UPGRADE, ACCEPT_ENCODING].contains(name)
}

impl fmt::Display for CgiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownCoding => write!(f, "read a request: unknown content coding"),
            Self::NoColon { line } => write!(f, "read git's answer: line {line} has no colon"),
            Self::BadField { line } => write!(f, "read git's answer: line {line} is no field"),
            Self::BadStatus => write!(f, "read git's answer: unusable status"),
        }
    }
}

impl std::error::Error for CgiError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn push(headers: &[(&'static str, &str)]) -> Result<Vec<Variable>, CgiError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let repository = Repository::parse("p").unwrap();
        variables(&Method::POST, &repository, Resource::ReceivePack, &map)
    }

    fn value<'a>(variables: &'a [Variable], name: &str) -> Option<&'a str> {
        variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn a_request_becomes_variables() {
        let made = push(&[
            ("content-type", "application/x-git-receive-pack-request"),
            ("content-encoding", "x-gzip"),
            ("content-length", "12"),
            ("git-protocol", "version=2"),
            ("proxy", "http://evil/"),
        ])
        .unwrap();
        assert_eq!(value(&made, "PATH_INFO"), Some("/p.git/git-receive-pack"));
        assert_eq!(value(&made, "REMOTE_USER"), Some("token"));
        assert_eq!(value(&made, "HTTP_CONTENT_ENCODING"), Some("gzip"));
        assert_eq!(value(&made, "GIT_PROTOCOL"), Some("version=2"));
        assert_eq!(value(&made, "CONTENT_TYPE"), Some("application/x-git-receive-pack-request"));
        assert_eq!(value(&made, "CONTENT_LENGTH"), None);
        assert_eq!(value(&made, "HTTP_PROXY"), None);
    }

    #[test]
    fn a_long_or_strange_protocol_header_is_left_out() {
        for protocol in ["v".repeat(MAX_VALUE + 1), "version=2\tx".to_owned()] {
            let made = push(&[("git-protocol", &protocol)]).unwrap();
            assert_eq!(value(&made, "GIT_PROTOCOL"), None);
        }
    }

    #[test]
    fn a_coding_git_cannot_undo_is_refused() {
        assert_eq!(push(&[("content-encoding", "br")]), Err(CgiError::UnknownCoding));
        assert!(push(&[("content-encoding", "identity")]).is_ok());
    }

    #[test]
    fn the_head_ends_at_the_first_empty_line() {
        assert_eq!(head_end(b"A: b\r\n\r\nbody\n\n"), Some(8));
        assert_eq!(head_end(b"A: b\n\nbody"), Some(6));
        assert_eq!(head_end(b"\nbody"), Some(1));
        assert_eq!(head_end(b"A: b\r\n"), None);
        assert_eq!(head_end(b""), None);
    }

    #[test]
    fn status_and_fields_are_read_and_hop_by_hop_fields_dropped() {
        let head = parse_head(
            b"Status: 403 Forbidden\r\nExpires: never\r\nConnection: close\r\nexpires: later\r\n\r\n",
        )
        .unwrap();
        assert_eq!(head.status, 403);
        assert_eq!(head.headers.get_all("expires").iter().count(), 2);
        assert_eq!(head.headers.get("connection"), None);
        assert_eq!(parse_head(b"Content-Type: x\n\n").unwrap().status, 200);
    }

    #[test]
    fn a_malformed_head_is_an_error() {
        for (bytes, why) in [
            (&b"garbage\n\n"[..], CgiError::NoColon { line: 1 }),
            (b"A: b\nx y: z\n\n", CgiError::BadField { line: 2 }),
            (b"A: \x01\n\n", CgiError::BadField { line: 1 }),
            (b"Status: ok\n\n", CgiError::BadStatus),
            (b"Status: 99\n\n", CgiError::BadStatus),
        ] {
            assert_eq!(parse_head(bytes), Err(why));
        }
    }

    proptest! {
        #[test]
        fn the_head_that_is_written_is_the_head_that_is_read(
            status in proptest::option::of(100..1000_u16),
            fields in proptest::collection::vec(("x-[a-z]{1,8}", "[!-~]([ -~]{0,20}[!-~])?"), 0..6),
            line_end in prop_oneof![Just("\n"), Just("\r\n")],
            body in any::<Vec<u8>>(),
        ) {
            let mut written = String::new();
            if let Some(code) = status {
                written += &format!("Status: {code} What{line_end}");
            }
            for (name, value) in &fields {
                written += &format!("{name}: {value}{line_end}");
            }
            written += line_end;
            let bytes = [written.as_bytes(), &body].concat();
            prop_assert_eq!(head_end(&bytes), Some(written.len()));
            let head = parse_head(written.as_bytes()).unwrap();
            prop_assert_eq!(head.status.as_u16(), status.unwrap_or(200));
            prop_assert_eq!(head.headers.len(), fields.len());
            for (name, _) in &fields {
                let read: Vec<_> = head.headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
                let of_that_name = fields.iter().filter(|(n, _)| n == name);
                let wrote: Vec<_> = of_that_name.map(|(_, value)| value.as_bytes()).collect();
                prop_assert_eq!(read, wrote);
            }
        }

        #[test]
        fn whatever_a_script_says_its_head_ends_once_and_sets_nothing_of_ours(
            bytes in prop_oneof![
                any::<Vec<u8>>(),
                "(Status|Connection|transfer-encoding|Upgrade|A|): ?[0-9a-z \x01]{0,4}\r?\n{0,2}{0,6}"
                    .prop_map(String::into_bytes),
            ],
        ) {
            let end = head_end(&bytes);
            if let Some(end) = end {
                let head = &bytes[..end];
                prop_assert!(head.ends_with(b"\n"));
                prop_assert_eq!(head_end(&head[..end - 1]), None);
                prop_assert_eq!(head_end(head), Some(end));
            }
            if let Ok(head) = parse_head(&bytes[..end.unwrap_or(bytes.len())]) {
                prop_assert!(!head.headers.keys().any(is_ours));
            }
        }

        #[test]
        fn no_header_puts_more_than_plain_text_into_the_environment(
            headers in proptest::collection::vec(
                (
                    prop_oneof![
                        Just("content-type"), Just("content-encoding"), Just("git-protocol"),
                        Just("proxy"), Just("content-length"), Just("git-config-count"),
                    ],
                    prop_oneof!["[ -~\t]{0,300}", "gzip", "version=[0-9]"],
                ),
                0..5,
            ),
        ) {
            let headers: Vec<_> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
            let Ok(made) = push(&headers) else { return Ok(()) };
            for (name, value) in &made {
                prop_assert!(value.bytes().all(|b| (b' '..=b'~').contains(&b)), "{name}: {value:?}");
                prop_assert!(value.len() <= MAX_VALUE);
            }
            let known = [
                "GATEWAY_INTERFACE", "SERVER_PROTOCOL", "REQUEST_METHOD", "PATH_INFO",
                "QUERY_STRING", "REMOTE_USER", "CONTENT_TYPE", CODING, "HTTP_GIT_PROTOCOL",
                "GIT_PROTOCOL",
            ];
            prop_assert!(made.iter().all(|(name, _)| known.contains(name)));
            prop_assert!(value(&made, CODING).is_none_or(|coding| coding == "gzip"));
        }
    }
}

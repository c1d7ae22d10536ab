//! Whether a route's rules allow a request. Pure.
//!
//! A path can be read in more than one way, and an upstream may decode what we forward as it is.
//! So every reading has to be allowed: the path as it was sent, and what it becomes when it is
//! decoded, its dot segments are resolved, its empty segments dropped and its parameters cut off.

use hyper::http::HeaderName;
use hyper::{HeaderMap, Method};
use terok_shared::routes::Permission;

/// Longest path held against patterns.
const MAX_PATH: usize = 4096;

/// How often a path is decoded before it counts as made to deceive.
const MAX_READINGS: usize = 4;

/// Headers by which some frameworks let a request take another method.
const METHOD_OVERRIDES: [HeaderName; 3] = [
    HeaderName::from_static("x-http-method-override"),
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-method-override"),
];

/// The `allow` list of a route, ready to be held against requests.
pub(crate) struct Allow(Vec<Entry>);

struct Entry {
    methods: Option<Vec<String>>,
    paths: Option<Vec<Pattern>>,
}

struct Pattern {
    encoded: String,
    decoded: String,
}

impl Allow {
    pub(crate) fn new(permissions: &[Permission]) -> Self {
        let entry = |permission: &Permission| Entry {
            methods: permission.methods.clone(),
            paths: permission.paths.as_ref().map(|paths| {
                let pattern =
                    |path: &String| Pattern { encoded: path.clone(), decoded: lossy(path) };
                paths.iter().map(pattern).collect()
            }),
        };
        Self(permissions.iter().map(entry).collect())
    }

    /// Whether every reading of the request is allowed; `path` percent-encoded, without a query.
    pub(crate) fn permits(&self, method: &Method, path: &str, headers: &HeaderMap) -> bool {
        let readings = (path.len() <= MAX_PATH).then(|| readings(path)).flatten();
        let Some((as_sent, as_decoded)) = readings else { return false };
        let names = METHOD_OVERRIDES;
        let overrides = names.iter().flat_map(|name| headers.get_all(name));
        let methods = overrides.map(|value| value.to_str().unwrap_or_default());
        methods.chain([method.as_str()]).all(|method| {
            let encoded = |reading: &String| self.permits_as(method, reading, |p| &p.encoded);
            let decoded = |reading: &String| self.permits_as(method, reading, |p| &p.decoded);
            as_sent.iter().all(encoded) && as_decoded.iter().all(decoded)
        })
    }

    fn permits_as(&self, method: &str, path: &str, form: fn(&Pattern) -> &String) -> bool {
        self.0.iter().any(|entry| {
            let method_fits = |allowed: &String| allowed.eq_ignore_ascii_case(method);
            entry.methods.as_ref().is_none_or(|allowed| allowed.iter().any(method_fits))
                && entry.paths.as_ref().is_none_or(|patterns| {
                    patterns.iter().any(|pattern| fits(form(pattern).as_bytes(), path.as_bytes()))
                })
        })
    }
}

/// What an upstream may take a path for, as it was sent and decoded. `None` when it could be taken
/// for too many things.
fn readings(path: &str) -> Option<(Vec<String>, Vec<String>)> {
    let mut as_sent = vec![path.to_owned()];
    as_sent.extend(resolutions(path));
    let mut as_decoded = Vec::new();
    let mut current = path.to_owned();
    for _ in 0..MAX_READINGS {
        let next = decoded(&current)?;
        as_decoded.extend(resolutions(&next));
        if next == current {
            return Some((as_sent, as_decoded));
        }
        current = next;
    }
    None
}

/// With and without the parameters of segments.
fn resolutions(path: &str) -> [String; 2] {
    [resolved(path), resolved(&without_parameters(path))]
}

/// Decoded once (RFC 3986 section 2.1); `None` for a path that is no text, or ends in the middle.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes().iter();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let digits = [*rest.next()?, *rest.next()?];
                let digits = std::str::from_utf8(&digits).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
            }
            byte => bytes.push(*byte),
        }
    }
    let text = String::from_utf8(bytes).ok()?;
    // Where a string ends, opinions differ.
    (!text.contains(['\0', '\r', '\n'])).then_some(text)
}

/// A pattern's own decoded form; one that cannot be decoded stands for itself.
fn lossy(pattern: &str) -> String {
    decoded(pattern).unwrap_or_else(|| pattern.to_owned())
}

/// Dot segments resolved (RFC 3986 section 5.2.4), empty ones dropped, backslashes taken for
/// slashes; whether it ends in a slash stays.
fn resolved(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split(['/', '\\']) {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let tail = if path.ends_with(['/', '\\']) && !kept.is_empty() { "/" } else { "" };
    format!("/{}{tail}", kept.join("/"))
}

/// Without what follows a semicolon in each segment (RFC 3986 section 3.3).
fn without_parameters(path: &str) -> String {
    let name = |segment: &str| segment.split(';').next().unwrap_or_default().to_owned();
    path.split('/').map(name).collect::<Vec<_>>().join("/")
}

/// `*` stands for any part of a segment, `**` for any part of a path. Without either, a pattern
/// is a prefix of whole segments.
fn fits(pattern: &[u8], path: &[u8]) -> bool {
    if pattern.contains(&b'*') {
        return glob(pattern, path);
    }
    let pattern = pattern.strip_suffix(b"/").unwrap_or(pattern);
    path.strip_prefix(pattern).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn glob(mut pattern: &[u8], mut path: &[u8]) -> bool {
    // Where to go on when what follows the last `*`, and the last `**`, does not fit.
    let mut star: Option<(&[u8], &[u8])> = None;
    let mut deep: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, path) {
            ([b'*', b'*', rest @ ..], _) => {
                (deep, star, pattern) = (Some((rest, path)), None, rest);
            }
            ([b'*', rest @ ..], _) => (star, pattern) = (Some((rest, path)), rest),
            ([], []) => return true,
            ([a, rest @ ..], [b, tail @ ..]) if a == b => (pattern, path) = (rest, tail),
            _ => match (&mut star, &mut deep) {
                (Some((after, at)), _) if at.first().is_some_and(|byte| *byte != b'/') => {
                    *at = &at[1..];
                    (pattern, path) = (*after, *at);
                }
                (_, Some((after, at))) if !at.is_empty() => {
                    *at = &at[1..];
                    (star, pattern, path) = (None, *after, *at);
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests;

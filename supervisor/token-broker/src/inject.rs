//! The one place a credential enters a request, and the headers that must not go on.
//!
//! In: a route's rules and a credential; later each request's headers. Out: the headers the
//! upstream shall see.

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, CONNECTION, EXPECT, Entry, HOST, HeaderName, HeaderValue};
use terok_shared::routes::{Auth, Route};
use vault_grant::{Credential, CredentialKind};

use crate::authenticate::is_token_header;

/// What a credential adds to every request on a route.
pub(crate) struct Injection {
    /// The credential itself, and members of it in headers of their own.
    set: Vec<(HeaderName, HeaderValue)>,
    /// Added to a comma list where the request's own list lacks them.
    listed: Vec<(HeaderName, String)>,
}

/// A credential that no header can carry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unusable;

impl Injection {
    pub(crate) fn new(rules: &Route, credential: &Credential) -> Result<Self, Unusable> {
        let value = credential.value.expose();
        let (name, value) = match (credential.kind, &rules.auth) {
            (CredentialKind::OAuth, _) => (AUTHORIZATION, secret_value("Bearer ", value)?),
            (CredentialKind::Key, Auth::Dynamic) => {
                (HeaderName::from_static("x-api-key"), secret_value("", value)?)
            }
            (CredentialKind::Key, Auth::Header { name, prefix }) => {
                (header_name(name)?, secret_value(prefix, value)?)
            }
        };
        let mut injection = Self { set: vec![(name, value)], listed: Vec::new() };
        if credential.kind == CredentialKind::OAuth {
            injection.add_oauth_headers(rules, credential)?;
        }
        Ok(injection)
    }

    fn add_oauth_headers(&mut self, rules: &Route, of: &Credential) -> Result<(), Unusable> {
        for (name, values) in &rules.oauth_extra_headers {
            for value in list(values) {
                self.listed.push((header_name(name)?, value.to_owned()));
            }
        }
        for (name, member) in &rules.oauth_credential_headers {
            if let Some(value) = of.member(member).filter(|value| !value.expose().is_empty()) {
                self.set.push((header_name(name)?, secret_value("", value.expose())?));
            }
        }
        Ok(())
    }

    /// Rewrites a request's headers: what must not go on goes, the credential comes in.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        remove_named_by_connection(headers);
        remove_all(headers, |name| {
            // The upstream's own name takes the host's place; our own server side answers what is
            // expected (RFC 9110 section 10.1.1).
            is_hop_by_hop(name) || is_token_header(name) || name == HOST || name == EXPECT
        });
        for (name, value) in &self.listed {
            merge(headers, name, value);
        }
        self.replace(headers);
    }

    /// Puts the credential in the place of another of its kind.
    pub(crate) fn replace(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.set {
            headers.insert(name.clone(), value.clone());
        }
    }
}

/// Removes the fields of one connection, and those that `Connection` names besides.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    remove_named_by_connection(headers);
    remove_all(headers, is_hop_by_hop);
}

fn remove_named_by_connection(headers: &mut HeaderMap) {
    // The two usual words name no header that is not removed anyway.
    let usual = |value: &HeaderValue| value == "keep-alive" || value == "close";
    if headers.get_all(CONNECTION).iter().any(|value| !usual(value)) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(list)
            .filter_map(|name| name.parse().ok())
            .collect();
        for name in named {
            headers.remove(name);
        }
    }
}

/// One look at each header that is there costs less than a look for each that may be.
fn remove_all(headers: &mut HeaderMap, goes: impl Fn(&HeaderName) -> bool) {
    while let Some(name) = headers.keys().find(|name| goes(name)).cloned() {
        headers.remove(name);
    }
}

/// Fields of one connection, not of the message (RFC 9110 section 7.6.1). `Trailer` is not among
/// them: trailers are forwarded.
fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Adds `value` to the list in the header `name`, unless it is there already.
fn merge(headers: &mut HeaderMap, name: &HeaderName, value: &str) {
    let lines = headers.get_all(name);
    let present: Vec<&str> =
        lines.iter().filter_map(|line| line.to_str().ok()).flat_map(list).collect();
    if present.contains(&value) {
        return;
    }
    let mut joined = present.join(",");
    if !joined.is_empty() {
        joined.push(',');
    }
    joined.push_str(value);
    let joined = HeaderValue::try_from(joined).expect("made of checked header values");
    match headers.entry(name) {
        Entry::Occupied(mut lines) => {
            lines.insert(joined);
        }
        Entry::Vacant(place) => {
            place.insert(joined);
        }
    }
}

/// The members of a comma list (RFC 9110 section 5.6.1).
fn list(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim_ascii).filter(|member| !member.is_empty())
}

fn header_name(name: &str) -> Result<HeaderName, Unusable> {
    name.parse().map_err(|_| Unusable)
}

/// A value marked as sensitive: kept out of debug output and of HTTP/2's header compression.
fn secret_value(prefix: &str, secret: &str) -> Result<HeaderValue, Unusable> {
    let mut value = HeaderValue::try_from(format!("{prefix}{secret}")).map_err(|_| Unusable)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests;

//! Redirects that the broker follows itself: a container can reach nothing but the broker, and the
//! storage that providers redirect to knows no provider's credential.
//!
//! Only requests without a body and without an effect are followed, with none of their headers
//! but three: the credential never leaves the route's upstream.

use hyper::header::{ACCEPT, ACCEPT_ENCODING, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use hyper::{Method, Request, Response, StatusCode, Uri};

use crate::forward::{Failed, Way, send};
use crate::route::Route;
use crate::upload::Upload;
use crate::upstream::{Client, Download, Failure, is_public};

/// Most redirects in a row.
const MAX_HOPS: usize = 10;

/// The only headers that are repeated.
const KEPT: [HeaderName; 3] = [ACCEPT, ACCEPT_ENCODING, USER_AGENT];

/// What a followed request repeats of the first one.
pub(crate) struct Followed {
    method: Method,
    /// In the order of `KEPT`.
    headers: [Option<HeaderValue>; 3],
    at: Uri,
}

impl Followed {
    /// Remembers a request, if it is of a kind that is followed.
    pub(crate) fn from_request<B>(request: &Request<B>) -> Option<Self> {
        let method = request.method().clone();
        if ![Method::GET, Method::HEAD, Method::OPTIONS].contains(&method) {
            return None;
        }
        let headers = KEPT.map(|name| request.headers().get(name).cloned());
        Some(Self { method, headers, at: request.uri().clone() })
    }

    /// The last response of a chain of redirects. One whose `Location` cannot be understood is
    /// the client's to look at.
    pub(crate) async fn follow(
        mut self,
        route: &Route,
        mut response: Response<Download>,
    ) -> Result<Response<Download>, Failed> {
        for _ in 0..MAX_HOPS {
            let Some(next) = target(&self.at, &response) else { return Ok(response) };
            let client = client_for(route, &next)?;
            let request = self.request_to(next.clone());
            response = send(Way::Client(client), request).await?;
            self.at = next;
        }
        match target(&self.at, &response) {
            None => Ok(response),
            Some(_) => Err(refused(format!("more than {MAX_HOPS} redirects"))),
        }
    }

    fn request_to(&self, next: Uri) -> Request<Upload> {
        let mut request = Request::new(Upload::NOTHING);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = next;
        for (name, value) in KEPT.into_iter().zip(&self.headers) {
            if let Some(value) = value {
                request.headers_mut().insert(name, value.clone());
            }
        }
        request
    }
}

/// The client to follow with: the route's own upstream may be anywhere, others are public or
/// the route says otherwise.
fn client_for<'a>(route: &'a Route, next: &Uri) -> Result<&'a Client, Failed> {
    if route.rules.private_redirects || route.has_upstream(next) {
        return Ok(&route.clients.upstream);
    }
    let host = next.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    match host.parse() {
        Ok(address) if !is_public(address) => {
            Err(refused("redirect to an address that is not public".into()))
        }
        // The resolver looks at the addresses of a name.
        _ => Ok(&route.clients.public),
    }
}

fn refused(detail: String) -> Failed {
    let hint = "hint: `private_redirects: true` in the route allows it";
    Failed::new(Failure::Redirect, format!("{detail}\n{hint}"))
}

/// RFC 9110 section 15.4.
pub(crate) fn is_one<B>(response: &Response<B>) -> bool {
    let redirects = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    redirects.contains(&response.status())
}

/// Where a redirect leads, `None` for any other response.
fn target<B>(base: &Uri, response: &Response<B>) -> Option<Uri> {
    if !is_one(response) {
        return None;
    }
    resolve(base, response.headers().get(LOCATION)?.to_str().ok()?)
}

/// A `Location` against the URL it came from (RFC 3986 section 5.2), its fragment left behind.
/// `None` for what is no http or https URL, or carries a user name.
fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    let reference = location.split('#').next().unwrap_or_default();
    let lower = reference.to_ascii_lowercase();
    if lower.starts_with("http://") || lower.starts_with("https://") {
        return checked(reference.parse().ok()?);
    }
    if let Some(rest) = reference.strip_prefix("//") {
        return checked(format!("{}://{rest}", base.scheme_str()?).parse().ok()?);
    }
    if reference.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
        return None;
    }
    let path = match reference.chars().next() {
        Some('/') => reference.to_owned(),
        Some('?') => format!("{}{reference}", base.path()),
        Some(_) => {
            let directory = base.path().rsplit_once('/').map_or("", |(before, _)| before);
            without_dots(&format!("{directory}/{reference}"))
        }
        None => base.path_and_query()?.to_string(),
    };
    built(base.scheme()?.clone(), base.authority()?.clone(), path.parse().ok()?)
}

fn checked(url: Uri) -> Option<Uri> {
    let authority = url.authority().filter(|authority| !authority.as_str().contains('@'))?.clone();
    let scheme = url.scheme()?.clone();
    let path = url.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    built(scheme, authority, path)
}

fn built(scheme: Scheme, authority: Authority, path_and_query: PathAndQuery) -> Option<Uri> {
    let mut parts = hyper::http::uri::Parts::default();
    parts.scheme = Some(scheme);
    parts.authority = Some(authority);
    parts.path_and_query = Some(path_and_query);
    Uri::from_parts(parts).ok()
}

/// Dot segments taken out of a path (RFC 3986 section 5.2.4); the query is left alone.
fn without_dots(path_and_query: &str) -> String {
    let (path, query) = match path_and_query.find('?') {
        Some(at) => path_and_query.split_at(at),
        None => (path_and_query, ""),
    };
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => {
                kept.pop();
            }
            other => kept.push(other),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        kept.push("");
    }
    format!("/{}{query}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_resolved_against_where_it_came_from() {
        let base: Uri = "https://h.example:8443/a/b?q=1".parse().unwrap();
        for (location, resolved) in [
            ("https://other.example/x%2Fy?z#part", "https://other.example/x%2Fy?z"),
            ("HTTP://other.example", "http://other.example/"),
            ("//other.example/x", "https://other.example/x"),
            ("/x/../y", "https://h.example:8443/x/../y"),
            ("c?d", "https://h.example:8443/a/c?d"),
            ("../c/./d/..", "https://h.example:8443/c/"),
            ("../../../c", "https://h.example:8443/c"),
            ("?r=2", "https://h.example:8443/a/b?r=2"),
            ("", "https://h.example:8443/a/b?q=1"),
        ] {
            let found = resolve(&base, location).map(|url| url.to_string());
            assert_eq!(found.as_deref(), Some(resolved), "{location}");
        }
    }

    #[test]
    fn what_is_no_plain_url_is_not_followed() {
        let base: Uri = "https://h.example/a".parse().unwrap();
        for location in
            ["ftp://h/x", "javascript:alert(1)", "file:///etc/passwd", "https://u:p@h/", "http://"]
        {
            assert_eq!(resolve(&base, location), None, "{location}");
        }
    }
}

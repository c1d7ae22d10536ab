//! Where a request goes: the upstream of its path, and the URL there. Pure.
//!
//! The path and query a client sent are appended byte for byte, never decoded, normalised or
//! re-encoded: what an upstream takes for a path is its own affair.

use std::rc::Rc;

use hyper::Uri;
use hyper::http::uri::{Authority, PathAndQuery, Scheme};
use terok_shared::routes::{self, Upstream};

use crate::allow::Allow;
use crate::forward::Way;
use crate::limit::Limiter;
use crate::upstream::{Clients, Dial, Direct};

/// A route with everything at hand that a request on it needs.
pub(crate) struct Route {
    pub(crate) rules: routes::Route,
    pub(crate) clients: Clients,
    pub(crate) allow: Option<Allow>,
    pub(crate) limiter: Rc<Limiter>,
    targets: Targets,
}

/// The upstreams of one route.
struct Targets {
    default: Target,
    /// Longest prefix first.
    below: Vec<(String, Target)>,
}

struct Target {
    scheme: Scheme,
    authority: Authority,
    base_path: String,
    /// Where there is no TLS.
    direct: Option<Rc<Direct>>,
}

/// A request target that names no path of an upstream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadTarget;

impl Route {
    pub(crate) fn new(
        rules: routes::Route,
        clients: Clients,
        limiter: Rc<Limiter>,
    ) -> Result<Self, BadTarget> {
        let targets = Targets::new(&rules, Some(&clients.dial))?;
        let allow = rules.rules.allow.as_deref().map(Allow::new);
        Ok(Self { rules, clients, allow, limiter, targets })
    }

    /// Whether a URL's host and port are those of one of the route's upstreams.
    pub(crate) fn has_upstream(&self, url: &Uri) -> bool {
        self.targets.all().any(|target| {
            url.scheme() == Some(&target.scheme) && url.authority() == Some(&target.authority)
        })
    }

    /// How to reach the upstream of what a client asked for.
    pub(crate) fn way(&self, asked: &PathAndQuery) -> Way<'_> {
        match &self.targets.of(asked.path()).direct {
            Some(direct) => Way::Direct(direct),
            None => Way::Client(&self.clients.upstream),
        }
    }

    /// Closes connections that are not needed now.
    pub(crate) fn sweep(&self) {
        self.targets.all().filter_map(|target| target.direct.as_ref()).for_each(|d| d.sweep());
    }

    /// The upstream's URL for what a client asked for.
    pub(crate) fn upstream_url(&self, asked: &PathAndQuery) -> Result<Uri, BadTarget> {
        self.targets.of(asked.path()).url(asked)
    }
}

/// The path and query of a request target in origin-form (RFC 9112 section 3.2.1). Other forms
/// name a host, or no resource at all, and only a forward proxy has a use for them.
pub(crate) fn origin_form(target: &Uri) -> Result<&PathAndQuery, BadTarget> {
    match (target.authority(), target.path_and_query()) {
        (None, Some(asked)) if asked.as_str().starts_with('/') => Ok(asked),
        _ => Err(BadTarget),
    }
}

impl Targets {
    fn new(rules: &routes::Route, dial: Option<&Dial>) -> Result<Self, BadTarget> {
        let below = rules
            .path_upstreams
            .iter()
            .map(|(prefix, upstream)| Ok((prefix.clone(), Target::new(upstream, dial)?)))
            .collect::<Result<_, _>>()?;
        Ok(Self { default: Target::new(&rules.upstream, dial)?, below })
    }

    fn all(&self) -> impl Iterator<Item = &Target> {
        std::iter::once(&self.default).chain(self.below.iter().map(|(_, target)| target))
    }

    fn of(&self, path: &str) -> &Target {
        let longest = self.below.iter().find(|(prefix, _)| is_below(path, prefix));
        longest.map_or(&self.default, |(_, target)| target)
    }
}

/// Whether `path` is `prefix` or continues it with another segment.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || prefix.ends_with('/') || rest.starts_with('/'))
}

impl Target {
    fn new(upstream: &Upstream, dial: Option<&Dial>) -> Result<Self, BadTarget> {
        let authority = upstream.authority.parse().map_err(|_| BadTarget)?;
        let direct = match dial.filter(|_| !upstream.tls) {
            Some(dial) => {
                let direct = Direct::new(dial.clone(), &authority).ok_or(BadTarget)?;
                Some(Rc::new(direct))
            }
            None => None,
        };
        Ok(Self {
            scheme: if upstream.tls { Scheme::HTTPS } else { Scheme::HTTP },
            authority,
            base_path: upstream.base_path.clone(),
            direct,
        })
    }

    fn url(&self, asked: &PathAndQuery) -> Result<Uri, BadTarget> {
        let path_and_query = if self.base_path.is_empty() {
            asked.clone()
        } else {
            format!("{}{asked}", self.base_path).try_into().map_err(|_| BadTarget)?
        };
        let mut parts = hyper::http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path_and_query);
        Uri::from_parts(parts).map_err(|_| BadTarget)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use terok_shared::routes::RouteTable;

    fn targets(route: &str) -> Targets {
        let json = format!(r#"{{"p": {route}}}"#);
        let table = RouteTable::parse(Path::new("/r.json"), json.as_bytes()).unwrap();
        Targets::new(table.get("p").unwrap(), None).unwrap()
    }

    fn url(targets: &Targets, asked: &str) -> String {
        let asked: PathAndQuery = asked.parse().unwrap();
        targets.of(asked.path()).url(&asked).unwrap().to_string()
    }

    #[test]
    fn path_and_query_go_on_byte_for_byte() {
        let plain = targets(r#"{"upstream": "https://h"}"#);
        let based = targets(r#"{"upstream": "http://h:81/base/v4/"}"#);
        for asked in [
            "/",
            "/a%2Fb/%2e%2E/../c//d/",
            "/%00%ff?q=%20+&&=?/..",
            "//evil.example/x",
            "/@evil.example/",
            "/a;b=c,d'(e)!*~",
            "/?",
        ] {
            assert_eq!(url(&plain, asked), format!("https://h{asked}"));
            assert_eq!(url(&based, asked), format!("http://h:81/base/v4{asked}"));
        }
    }

    #[test]
    fn the_longest_prefix_of_whole_segments_wins() {
        let route = targets(
            r#"{"upstream": "http://d", "path_upstreams":
                {"/a": "http://a", "/a/b": "http://ab/x", "/s/": "http://s"}}"#,
        );
        for (asked, upstream) in [
            ("/a", "http://a/a"),
            ("/a?q", "http://a/a?q"),
            ("/a/c", "http://a/a/c"),
            ("/a/b", "http://ab/x/a/b"),
            ("/a/b/c", "http://ab/x/a/b/c"),
            ("/a/bc", "http://a/a/bc"),
            ("/ab", "http://d/ab"),
            ("/%61", "http://d/%61"),
            ("/s", "http://d/s"),
            ("/s/t", "http://s/s/t"),
        ] {
            assert_eq!(url(&route, asked), upstream);
        }
    }

    #[test]
    fn only_origin_form_names_a_path_of_an_upstream() {
        for refused in ["http://evil/x", "evil.example:443", "*", "https://u@h/"] {
            assert_eq!(origin_form(&refused.parse().unwrap()), Err(BadTarget), "{refused}");
        }
        for target in ["/", "//evil/x", "/http://evil/"] {
            assert_eq!(origin_form(&target.parse().unwrap()).unwrap().as_str(), target);
        }
    }
}

//! Which resource of which repository a request asks for; everything else is refused here.
//!
//! In: method, path and query as sent. Out: a `Route`, or the status that says why there is none.
//! The paths are those of git's smart HTTP protocol (gitprotocol-http(5)) and no others, so the
//! file-serving half of `git http-backend` is out of reach.

use std::fmt;

use hyper::Method;

/// A repository's name without `.git`: one path component that needs no escaping anywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Repository(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    /// `info/refs?service=git-upload-pack`: what there is to fetch.
    FetchRefs,
    /// `info/refs?service=git-receive-pack`: what a push starts from.
    PushRefs,
    UploadPack,
    ReceivePack,
    Head,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) repository: Repository,
    pub(crate) resource: Resource,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RouteError {
    NoSuchPath,
    /// The path exists for the methods named.
    MethodRefused {
        allow: &'static str,
    },
}

/// Reads a request line. Credentials play no part: an unknown path is unknown to everybody.
pub(crate) fn route(method: &Method, path: &str, query: Option<&str>) -> Result<Route, RouteError> {
    let (name, rest) = path
        .strip_prefix('/')
        .and_then(|path| path.split_once('/'))
        .ok_or(RouteError::NoSuchPath)?;
    let repository =
        name.strip_suffix(".git").and_then(Repository::parse).ok_or(RouteError::NoSuchPath)?;
    let resource = match (rest, query) {
        ("info/refs", Some("service=git-upload-pack")) => Resource::FetchRefs,
        ("info/refs", Some("service=git-receive-pack")) => Resource::PushRefs,
        ("git-upload-pack", None) => Resource::UploadPack,
        ("git-receive-pack", None) => Resource::ReceivePack,
        ("HEAD", None) => Resource::Head,
        _ => return Err(RouteError::NoSuchPath),
    };
    resource.check(method)?;
    Ok(Route { repository, resource })
}

impl Resource {
    /// Whether the request carries a body for git.
    pub(crate) fn is_service(self) -> bool {
        matches!(self, Self::UploadPack | Self::ReceivePack)
    }

    /// The path below the repository, and the query.
    pub(crate) fn path_and_query(self) -> (&'static str, &'static str) {
        match self {
            Self::FetchRefs => ("info/refs", "service=git-upload-pack"),
            Self::PushRefs => ("info/refs", "service=git-receive-pack"),
            Self::UploadPack => ("git-upload-pack", ""),
            Self::ReceivePack => ("git-receive-pack", ""),
            Self::Head => ("HEAD", ""),
        }
    }

    fn check(self, method: &Method) -> Result<(), RouteError> {
        let (fits, allow) = if self.is_service() {
            (method == Method::POST, "POST")
        } else {
            (method == Method::GET || method == Method::HEAD, "GET, HEAD")
        };
        if fits { Ok(()) } else { Err(RouteError::MethodRefused { allow }) }
    }
}

impl Repository {
    /// `[A-Za-z0-9._-]+`, neither `.` nor `..`.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = !name.is_empty() && name.bytes().all(plain) && !matches!(name, "." | "..");
        fits.then(|| Self(name.to_owned()))
    }

    /// Its directory's name, below the directory of mirrors and in URLs.
    pub(crate) fn directory(&self) -> String {
        format!("{}.git", self.0)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(method: Method, target: &str) -> Result<Resource, RouteError> {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        route(&method, path, query).map(|route| {
            assert_eq!(route.repository, Repository("a.b_c-1".to_owned()));
            route.resource
        })
    }

    #[test]
    fn the_resources_of_smart_http_are_found() {
        for (method, target, resource) in [
            (Method::GET, "/a.b_c-1.git/info/refs?service=git-upload-pack", Resource::FetchRefs),
            (Method::HEAD, "/a.b_c-1.git/info/refs?service=git-receive-pack", Resource::PushRefs),
            (Method::POST, "/a.b_c-1.git/git-upload-pack", Resource::UploadPack),
            (Method::POST, "/a.b_c-1.git/git-receive-pack", Resource::ReceivePack),
            (Method::GET, "/a.b_c-1.git/HEAD", Resource::Head),
        ] {
            assert_eq!(at(method, target), Ok(resource), "{target}");
        }
    }

    #[test]
    fn every_other_path_is_unknown() {
        for target in [
            "/",
            "/a.git",
            "/a.git/",
            "/a/info/refs?service=git-upload-pack",
            "/a.git/info/refs",
            "/a.git/info/refs?service=git-upload-archive",
            "/a.git/info/refs?service=git-upload-pack&x=1",
            "/a.git/git-upload-pack?x",
            "/a.git/objects/info/packs",
            "/a.git/config",
            "/a.git/../b.git/HEAD",
            "//a.git/HEAD",
            "/x/a.git/HEAD",
            "/.git/HEAD",
            "/..git/HEAD",
            "/...git/HEAD",
            "/a%2eb.git/HEAD",
            "/ä.git/HEAD",
        ] {
            assert_eq!(at(Method::GET, target), Err(RouteError::NoSuchPath), "{target}");
        }
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        assert_eq!(
            at(Method::GET, "/a.git/git-upload-pack"),
            Err(RouteError::MethodRefused { allow: "POST" })
        );
        assert_eq!(
            at(Method::PUT, "/a.git/HEAD"),
            Err(RouteError::MethodRefused { allow: "GET, HEAD" })
        );
    }

    #[test]
    fn names_that_are_no_plain_component_are_refused() {
        for name in ["", ".", "..", "a/b", "a b", "a\n", "ü"] {
            assert_eq!(Repository::parse(name), None, "{name:?}");
        }
        assert_eq!(Repository::parse("x").unwrap().directory(), "x.git");
    }

    fn any_method() -> impl Strategy<Value = Method> {
        prop_oneof![Just(Method::GET), Just(Method::HEAD), Just(Method::POST), Just(Method::PUT)]
    }

    /// Anything, and things that are nearly right.
    fn any_path() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("/"),
            Just("."),
            Just(".."),
            Just(".git"),
            Just("a"),
            Just("%2e"),
            Just("info/refs"),
            Just("git-upload-pack"),
            Just("git-receive-pack"),
            Just("HEAD"),
            Just("objects"),
        ];
        prop_oneof![
            any::<String>(),
            proptest::collection::vec(piece, 0..7).prop_map(|it| it.concat())
        ]
    }

    fn any_query() -> impl Strategy<Value = Option<String>> {
        let service = "(service=)?(git-)?(upload|receive)-(pack|archive)(&x)?".boxed();
        proptest::option::of(prop_oneof![any::<String>(), service])
    }

    proptest! {
        #[test]
        fn a_route_stands_for_exactly_the_target_that_was_asked_for(
            method in any_method(),
            path in any_path(),
            query in any_query(),
        ) {
            let Ok(found) = route(&method, &path, query.as_deref()) else { return Ok(()) };
            let (below, wanted) = found.resource.path_and_query();
            prop_assert_eq!(format!("/{}/{below}", found.repository.directory()), path);
            prop_assert_eq!(query.unwrap_or_default(), wanted);
            prop_assert_eq!(method == Method::POST, found.resource.is_service());
            prop_assert!(!found.repository.directory().contains(['/', '%', '\0', '\n']));
        }

        #[test]
        fn every_resource_of_every_repository_is_found_and_nothing_longer(
            name in "[A-Za-z0-9_-][A-Za-z0-9._-]{0,20}",
            resource in prop_oneof![
                Just(Resource::FetchRefs), Just(Resource::PushRefs), Just(Resource::UploadPack),
                Just(Resource::ReceivePack), Just(Resource::Head),
            ],
            more in "[/a.?&%]{1,4}",
        ) {
            let (below, query) = resource.path_and_query();
            let query = (!query.is_empty()).then_some(query);
            let method = if resource.is_service() { Method::POST } else { Method::GET };
            let path = format!("/{name}.git/{below}");
            let repository = Repository::parse(&name).unwrap();
            prop_assert_eq!(route(&method, &path, query), Ok(Route { repository, resource }));
            let longer = format!("{path}{more}");
            prop_assert_eq!(route(&method, &longer, query), Err(RouteError::NoSuchPath));
            let asked = format!("{}{more}", query.unwrap_or_default());
            prop_assert_eq!(route(&method, &path, Some(&asked)), Err(RouteError::NoSuchPath));
        }
    }
}

//! The route table: for each provider the upstream that its tokens lead to and how a credential
//! is presented there.
//!
//! In: the JSON text of `routes.json`. Out: a checked `RouteTable`, or an error that names the
//! route and the field. Nothing is read from disk here.

mod rules;
mod upstream;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::json_kind;
use crate::secret::Secret;
pub use rules::{Limit, Permission, Rules};
pub use upstream::{Upstream, UpstreamError};

/// Longest table that is read.
pub const MAX_BYTES: usize = 1024 * 1024;

/// Headers that frame a message or name its receiver: no route may set them.
const RESERVED_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// Routes by provider.
#[derive(Debug, Default)]
pub struct RouteTable(BTreeMap<String, Route>);

#[derive(Debug)]
pub struct Route {
    pub upstream: Upstream,
    pub auth: Auth,
    /// Another upstream for requests below a path prefix, longest prefix first.
    pub path_upstreams: Vec<(String, Upstream)>,
    /// Merged into the request's own list when the credential is an OAuth one.
    pub oauth_extra_headers: Vec<(String, String)>,
    /// Header name and the credential's member that fills it, for OAuth credentials.
    pub oauth_credential_headers: Vec<(String, String)>,
    /// Shared with the renewals under way, which outlive a change of the table.
    pub oauth_refresh: Option<Arc<OAuthRefresh>>,
    /// Extension: PEM roots that this route trusts besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Extension: redirects may lead to addresses that are not public.
    pub private_redirects: bool,
    /// Extension: what is allowed, and how much.
    pub rules: Rules,
}

/// Where a credential that is not an OAuth one goes; OAuth always goes into
/// `Authorization: Bearer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `x-api-key`, without a prefix.
    Dynamic,
    Header {
        name: String,
        prefix: String,
    },
}

/// How an access token is renewed (RFC 6749 section 6).
#[derive(Debug)]
pub struct OAuthRefresh {
    /// An `http` or `https` URL; its query, if any, belongs to it.
    pub token_url: String,
    pub client_id: String,
    pub scope: Option<String>,
    pub client_secret: Option<Secret<String>>,
}

#[derive(Debug)]
pub enum RoutesError {
    TooLarge { file: PathBuf, bytes: usize },
    NotJson { file: PathBuf, why: serde_json::Error },
    NotAnObject { file: PathBuf, kind: &'static str },
    Route { file: PathBuf, route: String, kind: &'static str },
    Field { file: PathBuf, route: String, why: FieldError },
}

/// One field of one route that cannot be used; `inner` is the key inside a field that is an
/// object.
#[derive(Debug, PartialEq, Eq)]
pub struct FieldError {
    field: &'static str,
    inner: Option<String>,
    why: String,
}

impl RouteTable {
    /// Reads the JSON text of `file`; the path is used in messages alone.
    pub fn parse(file: &Path, json: &[u8]) -> Result<Self, RoutesError> {
        let at = || file.to_owned();
        if json.len() > MAX_BYTES {
            return Err(RoutesError::TooLarge { file: at(), bytes: json.len() });
        }
        let routes = match serde_json::from_slice(json) {
            Ok(Value::Object(routes)) => routes,
            Ok(other) => {
                return Err(RoutesError::NotAnObject { file: at(), kind: json_kind::of(&other) });
            }
            Err(why) => return Err(RoutesError::NotJson { file: at(), why }),
        };
        let checked = routes.into_iter().map(|(provider, route)| {
            let Value::Object(fields) = route else {
                let kind = json_kind::of(&route);
                return Err(RoutesError::Route { file: at(), route: provider, kind });
            };
            match Fields(fields).route() {
                Ok(route) => Ok((provider, route)),
                Err(why) => Err(RoutesError::Field { file: at(), route: provider, why }),
            }
        });
        Ok(Self(checked.collect::<Result<_, _>>()?))
    }

    pub fn get(&self, provider: &str) -> Option<&Route> {
        self.0.get(provider)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Route)> {
        self.0.iter().map(|(provider, route)| (provider.as_str(), route))
    }
}

impl IntoIterator for RouteTable {
    type Item = (String, Route);
    type IntoIter = std::collections::btree_map::IntoIter<String, Route>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// One route's JSON object; a field that is absent or `null` is absent.
struct Fields(Map<String, Value>);

impl Fields {
    fn route(&self) -> Result<Route, FieldError> {
        let upstream = self
            .string("upstream")?
            .ok_or_else(|| FieldError::new("upstream", "is missing".into()))?;
        Ok(Route {
            upstream: parsed_upstream("upstream", None, &upstream)?,
            auth: self.auth()?,
            path_upstreams: self.path_upstreams()?,
            oauth_extra_headers: self.headers("oauth_extra_headers", is_field_value)?,
            oauth_credential_headers: self.headers("oauth_credential_headers", |_| true)?,
            oauth_refresh: self.oauth_refresh()?,
            ca_file: self.ca_file()?,
            private_redirects: self.boolean("private_redirects")?,
            rules: Rules::of(&self.0)?,
        })
    }

    fn auth(&self) -> Result<Auth, FieldError> {
        let name = self.string("auth_header")?.unwrap_or_else(|| "Authorization".into());
        let prefix = self.string("auth_prefix")?.unwrap_or_else(|| "Bearer ".into());
        if !is_field_value(&prefix) {
            return Err(FieldError::new("auth_prefix", "has a control character".into()));
        }
        if name == "dynamic" {
            return Ok(Auth::Dynamic);
        }
        check_header_name("auth_header", &name)?;
        Ok(Auth::Header { name, prefix })
    }

    fn path_upstreams(&self) -> Result<Vec<(String, Upstream)>, FieldError> {
        const FIELD: &str = "path_upstreams";
        let mut upstreams = Vec::new();
        for (prefix, base) in self.strings(FIELD)? {
            if !prefix.starts_with('/') {
                return Err(FieldError::inside(FIELD, prefix, "must start with `/`".into()));
            }
            let upstream = parsed_upstream(FIELD, Some(&prefix), &base)?;
            upstreams.push((prefix, upstream));
        }
        upstreams.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
        Ok(upstreams)
    }

    fn headers(
        &self,
        field: &'static str,
        usable: fn(&str) -> bool,
    ) -> Result<Vec<(String, String)>, FieldError> {
        let headers = self.strings(field)?;
        for (name, value) in &headers {
            check_header_name(field, name)?;
            if value.is_empty() || !usable(value) {
                let why = "is empty or has a control character".into();
                return Err(FieldError::inside(field, name.clone(), why));
            }
        }
        Ok(headers)
    }

    fn oauth_refresh(&self) -> Result<Option<Arc<OAuthRefresh>>, FieldError> {
        const FIELD: &str = "oauth_refresh";
        let refresh = match self.0.get(FIELD) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Object(refresh)) => Self(refresh.clone()),
            Some(other) => return Err(FieldError::expected(FIELD, "an object", other)),
        };
        let within = |why: FieldError| FieldError::inside(FIELD, why.field.into(), why.why);
        let string = |key| refresh.string(key).map_err(within);
        let missing = |key: &str| FieldError::inside(FIELD, key.into(), "is missing".into());
        let token_url = string("token_url")?.ok_or_else(|| missing("token_url"))?;
        let without_query = token_url.split('?').next().unwrap_or_default();
        parsed_upstream(FIELD, Some("token_url"), without_query)?;
        Ok(Some(Arc::new(OAuthRefresh {
            token_url,
            client_id: string("client_id")?.ok_or_else(|| missing("client_id"))?,
            scope: string("scope")?,
            client_secret: string("client_secret")?.map(Secret::from),
        })))
    }

    fn ca_file(&self) -> Result<Option<PathBuf>, FieldError> {
        let path = self.string("ca_file")?.map(PathBuf::from);
        match path {
            Some(path) if !path.is_absolute() => {
                Err(FieldError::new("ca_file", "must be an absolute path".into()))
            }
            path => Ok(path),
        }
    }

    fn string(&self, field: &'static str) -> Result<Option<String>, FieldError> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(FieldError::expected(field, "a string", other)),
        }
    }

    fn boolean(&self, field: &'static str) -> Result<bool, FieldError> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(value)) => Ok(*value),
            Some(other) => Err(FieldError::expected(field, "a boolean", other)),
        }
    }

    /// A field that is an object of strings.
    fn strings(&self, field: &'static str) -> Result<Vec<(String, String)>, FieldError> {
        let members = match self.0.get(field) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Object(members)) => members,
            Some(other) => return Err(FieldError::expected(field, "an object", other)),
        };
        let text = |(key, value): (&String, &Value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            other => {
                let why = format!("expected a string, found {}", json_kind::of(other));
                Err(FieldError::inside(field, key.clone(), why))
            }
        };
        members.iter().map(text).collect()
    }
}

fn parsed_upstream(
    field: &'static str,
    inner: Option<&str>,
    url: &str,
) -> Result<Upstream, FieldError> {
    let failed = |why: UpstreamError| FieldError {
        field,
        inner: inner.map(Into::into),
        why: why.to_string(),
    };
    Upstream::parse(url).map_err(failed)
}

/// A field name is a token (RFC 9110 section 5.6.2).
fn check_header_name(field: &'static str, name: &str) -> Result<(), FieldError> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        let why = format!("{name:?} is not the name of a header");
        return Err(FieldError { field, inner: None, why });
    }
    if RESERVED_HEADERS.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
        let why = format!("header `{name}` belongs to the connection, not to a route");
        return Err(FieldError { field, inner: None, why });
    }
    Ok(())
}

/// Printable ASCII (RFC 9110 section 5.5).
fn is_field_value(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

impl FieldError {
    fn new(field: &'static str, why: String) -> Self {
        Self { field, inner: None, why }
    }

    fn inside(field: &'static str, key: String, why: String) -> Self {
        Self { field, inner: Some(key), why }
    }

    fn expected(field: &'static str, what: &str, found: &Value) -> Self {
        Self::new(field, format!("expected {what}, found {}", json_kind::of(found)))
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            None => write!(f, "field `{}`: {}", self.field, self.why),
            Some(key) => write!(f, "field `{}`, `{key}`: {}", self.field, self.why),
        }
    }
}

impl fmt::Display for RoutesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge { file, bytes } => {
                write!(f, "routes {}: {bytes} bytes, at most {MAX_BYTES}", file.display())
            }
            Self::NotJson { file, why } => {
                let (line, column) = (why.line(), why.column());
                write!(f, "routes {}: not JSON at line {line} column {column}", file.display())
            }
            Self::NotAnObject { file, kind } => {
                write!(f, "routes {}: expected an object, found {kind}", file.display())
            }
            Self::Route { file, route, kind } => {
                let file = file.display();
                write!(f, "routes {file}: route `{route}`: expected an object, found {kind}")
            }
            Self::Field { file, route, why } => {
                write!(f, "routes {}: route `{route}`: {why}", file.display())
            }
        }
    }
}

impl std::error::Error for FieldError {}
impl std::error::Error for RoutesError {}

#[cfg(test)]
mod tests;

//! Extension: what a container may do on a route, and how much of it.
//!
//! In: the `allow` and `limit` fields of a route. Out: checked rules. A key that is not known is
//! refused: a misspelt rule must not become no rule. The broker applies them.

use serde_json::{Map, Value};

use super::FieldError;
use crate::json_kind;

/// The rules of one route. Without any, everything is allowed without a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// When present, only what one of these permits.
    pub allow: Option<Vec<Permission>>,
    pub limit: Limit,
}

/// One entry of `allow`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// As in the request line; `None` is every method.
    pub methods: Option<Vec<String>>,
    /// Percent-encoded patterns; `None` is every path.
    pub paths: Option<Vec<String>>,
}

/// Ceilings for one container on one route, each at least 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    pub requests_per_minute: Option<u64>,
    /// Requests and tunnels at a time.
    pub concurrent: Option<u64>,
    /// Bodies of both directions.
    pub bytes_per_minute: Option<u64>,
}

const ALLOW: &str = "allow";
const LIMIT: &str = "limit";

/// Longest list of permissions, methods or patterns: each request is held against all of them.
const MAX_ENTRIES: usize = 256;

impl Rules {
    pub(super) fn of(route: &Map<String, Value>) -> Result<Self, FieldError> {
        let allow = match route.get(ALLOW) {
            None | Some(Value::Null) => None,
            Some(Value::Array(entries)) if entries.len() <= MAX_ENTRIES => {
                let numbered = entries.iter().enumerate();
                Some(numbered.map(|(n, entry)| permission(n, entry)).collect::<Result<_, _>>()?)
            }
            Some(Value::Array(_)) => return Err(too_many(ALLOW, None)),
            Some(other) => return Err(FieldError::expected(ALLOW, "an array", other)),
        };
        let limit = match route.get(LIMIT) {
            None | Some(Value::Null) => Limit::default(),
            Some(Value::Object(limit)) => parse_limit(limit)?,
            Some(other) => return Err(FieldError::expected(LIMIT, "an object", other)),
        };
        Ok(Self { allow, limit })
    }
}

fn permission(n: usize, entry: &Value) -> Result<Permission, FieldError> {
    let place = format!("entry {}", n + 1);
    let refused = |why: String| FieldError::inside(ALLOW, place.clone(), why);
    let Value::Object(entry) = entry else {
        return Err(refused(format!("expected an object, found {}", json_kind::of(entry))));
    };
    if let Some(unknown) = entry.keys().find(|key| !["methods", "paths"].contains(&key.as_str())) {
        return Err(refused(format!("unknown key {unknown:?}, expected `methods` or `paths`")));
    }
    let methods = strings(&place, "methods", entry.get("methods"))?;
    if let Some(bad) = methods.iter().flatten().find(|method| !is_method(method)) {
        return Err(refused(format!("{bad:?} is not a method in upper case")));
    }
    let paths = strings(&place, "paths", entry.get("paths"))?;
    if let Some(bad) = paths.iter().flatten().find(|path| !is_pattern(path)) {
        return Err(refused(format!(
            "path {bad:?} must start with `/` and hold no query, blank or other character that \
             a path has percent-encoded"
        )));
    }
    Ok(Permission { methods, paths })
}

fn strings(
    place: &str,
    key: &str,
    value: Option<&Value>,
) -> Result<Option<Vec<String>>, FieldError> {
    let refused = |why: String| FieldError::inside(ALLOW, format!("{place} {key}"), why);
    let entries = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(entries)) if entries.len() <= MAX_ENTRIES => entries,
        Some(Value::Array(_)) => return Err(too_many(ALLOW, Some(format!("{place} {key}")))),
        Some(other) => {
            return Err(refused(format!("expected an array, found {}", json_kind::of(other))));
        }
    };
    let text = |entry: &Value| match entry {
        Value::String(text) => Ok(text.clone()),
        other => Err(refused(format!("expected strings, found {}", json_kind::of(other)))),
    };
    entries.iter().map(text).collect::<Result<_, _>>().map(Some)
}

fn parse_limit(limit: &Map<String, Value>) -> Result<Limit, FieldError> {
    let mut parsed = Limit::default();
    for (key, value) in limit {
        let refused = |why: String| FieldError::inside(LIMIT, key.clone(), why);
        let place = match key.as_str() {
            "requests_per_minute" => &mut parsed.requests_per_minute,
            "concurrent" => &mut parsed.concurrent,
            "bytes_per_minute" => &mut parsed.bytes_per_minute,
            _ => {
                return Err(refused(
                    "unknown, expected `requests_per_minute`, `concurrent` or `bytes_per_minute`"
                        .into(),
                ));
            }
        };
        *place = match value {
            Value::Null => None,
            value => match value.as_u64() {
                Some(ceiling @ 1..=1_000_000_000_000) => Some(ceiling),
                _ => return Err(refused("expected a whole number from 1 to 10^12".into())),
            },
        };
    }
    Ok(parsed)
}

/// A method is a token (RFC 9110 section 9.1); those in use are in upper case.
fn is_method(method: &str) -> bool {
    !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')
}

/// A path as it stands in a request line, with `*` for patterns.
fn is_pattern(path: &str) -> bool {
    path.starts_with('/')
        && path.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}?#".contains(&b))
}

fn too_many(field: &'static str, inner: Option<String>) -> FieldError {
    FieldError { field, inner, why: format!("has more than {MAX_ENTRIES} entries") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(json: &str) -> Result<Rules, String> {
        let Value::Object(route) = serde_json::from_str(json).unwrap() else { panic!("{json}") };
        Rules::of(&route).map_err(|why| why.to_string())
    }

    #[test]
    fn rules_are_read() {
        let read = rules(
            r#"{"allow": [{"methods": ["GET"], "paths": ["/v1/*", "/x"]}, {}],
                "limit": {"requests_per_minute": 60, "concurrent": 2, "bytes_per_minute": 1000}}"#,
        )
        .unwrap();
        let allow = read.allow.unwrap();
        assert_eq!(allow[0].paths.as_deref().unwrap(), ["/v1/*", "/x"]);
        assert_eq!(allow[1], Permission { methods: None, paths: None });
        assert_eq!(read.limit.requests_per_minute, Some(60));
        assert_eq!(rules("{}").unwrap(), Rules::default());
        assert_eq!(rules(r#"{"allow": []}"#).unwrap().allow, Some(vec![]));
    }

    #[test]
    fn what_could_be_meant_otherwise_is_refused_by_its_place() {
        for (json, said) in [
            (r#"{"allow": {}}"#, "field `allow`: expected an array, found an object"),
            (r#"{"allow": ["GET"]}"#, "field `allow`, `entry 1`: expected an object"),
            (r#"{"allow": [{}, {"path": []}]}"#, "field `allow`, `entry 2`: unknown key \"path\""),
            (r#"{"allow": [{"methods": "GET"}]}"#, "`entry 1 methods`: expected an array"),
            (r#"{"allow": [{"methods": ["get"]}]}"#, "\"get\" is not a method"),
            (r#"{"allow": [{"paths": ["v1"]}]}"#, "path \"v1\" must start with `/`"),
            (r#"{"allow": [{"paths": ["/v1?x"]}]}"#, "path \"/v1?x\""),
            (r#"{"allow": [{"paths": [1]}]}"#, "`entry 1 paths`: expected strings"),
            (r#"{"limit": 5}"#, "field `limit`: expected an object, found a number"),
            (r#"{"limit": {"concurrent": 0}}"#, "field `limit`, `concurrent`: expected a whole"),
            (r#"{"limit": {"concurrent": 1.5}}"#, "`concurrent`: expected a whole"),
            (r#"{"limit": {"per_minute": 1}}"#, "field `limit`, `per_minute`: unknown"),
        ] {
            let why = rules(json).unwrap_err();
            assert!(why.contains(said), "{json}: {why}");
        }
    }
}

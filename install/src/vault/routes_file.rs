//! `routes.json` beside the vault: read, and changed one route at a time.
//!
//! Other routes and members we do not know are another program's; they stay as they are. What is
//! written is what the broker's own parser accepts, or nothing.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use terok_shared::routes::{RouteTable, RoutesError};

use crate::cli::RouteArgs;
use crate::credential_name::ProviderName;
use crate::known_provider;
use crate::private_file;

#[derive(Debug)]
pub(crate) enum RoutesFileError {
    Io {
        doing: &'static str,
        path: PathBuf,
        why: io::Error,
    },
    Unusable(RoutesError),
    /// Nothing says where this provider is.
    NoUpstream {
        provider: ProviderName,
    },
}

type Table = Map<String, Value>;

/// The table; an empty one when there is no file.
///
/// # Errors
/// A file that cannot be read or that the broker would refuse.
pub(crate) fn read(path: &Path) -> Result<Table, RoutesFileError> {
    let text = match fs::read(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(Table::new()),
        other => other.map_err(failed("read", path))?,
    };
    checked(path, &text)
}

/// Makes the provider's route say what `wish` says. Returns whether it had to be changed.
///
/// # Errors
/// An unknown provider without an upstream; a table that cannot be read, or would be unusable
/// afterwards. Nothing is changed then.
pub(crate) fn update(
    path: &Path,
    provider: &ProviderName,
    wish: &RouteArgs,
) -> Result<bool, RoutesFileError> {
    // A link to a file kept elsewhere stays a link.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = path.parent().unwrap_or(Path::new("/"));
    private_file::make_directory(directory).map_err(failed("make", directory))?;
    // Two changes at once would lose one; the lock goes with the handle.
    let lock = File::open(directory).map_err(failed("open", directory))?;
    lock.lock().map_err(failed("lock", directory))?;
    match planned(path, provider, wish)? {
        Some(text) => {
            private_file::replace(path, text.as_bytes()).map_err(failed("write", path))?;
            Ok(true)
        }
        None => Ok(false),
    }
}

/// Whether `update` could work, found out before anything is stored.
pub(super) fn check(
    path: &Path,
    provider: &ProviderName,
    wish: &RouteArgs,
) -> Result<(), RoutesFileError> {
    planned(path, provider, wish).map(drop)
}

/// The new text; `None` when the table is as wished.
fn planned(
    path: &Path,
    provider: &ProviderName,
    wish: &RouteArgs,
) -> Result<Option<String>, RoutesFileError> {
    let old = read(path)?;
    let route = route(old.get(provider.as_str()), provider, wish)?;
    let mut new = old.clone();
    new.insert(provider.to_string(), Value::Object(route));
    if new == old {
        return Ok(None);
    }
    let mut text = serde_json::to_string_pretty(&new).expect("a map with text keys serialises");
    text.push('\n');
    checked(path, text.as_bytes())?;
    Ok(Some(text))
}

/// The route as it shall be: the one that is there, else the provider's usual one, with the
/// members that were wished for.
fn route(
    old: Option<&Value>,
    provider: &ProviderName,
    wish: &RouteArgs,
) -> Result<Map<String, Value>, RoutesFileError> {
    let base = old.and_then(Value::as_object).cloned();
    let mut route = match base.or_else(|| known_provider::route(provider.as_str())) {
        Some(route) => route,
        None if wish.upstream.is_some() => Map::new(),
        None => return Err(RoutesFileError::NoUpstream { provider: provider.clone() }),
    };
    let mut set = |member: &str, value: &Option<String>| {
        if let Some(value) = value {
            route.insert(member.to_owned(), value.as_str().into());
        }
    };
    set("upstream", &wish.upstream);
    set("auth_header", &wish.auth_header);
    // A header of its own holds the bare credential; the table's default would be `Bearer `.
    let bare = wish.auth_header.as_ref().filter(|name| !name.eq_ignore_ascii_case("authorization"));
    set("auth_prefix", &wish.auth_prefix.clone().or_else(|| bare.map(|_| String::new())));
    for (member, value) in &wish.additions {
        route.entry(member.as_str()).or_insert_with(|| value.clone());
    }
    Ok(route)
}

fn checked(path: &Path, text: &[u8]) -> Result<Table, RoutesFileError> {
    RouteTable::parse(path, text).map_err(RoutesFileError::Unusable)?;
    Ok(serde_json::from_slice(text).expect("the table was parsed as an object"))
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RoutesFileError {
    let path = path.to_owned();
    move |why| RoutesFileError::Io { doing, path, why }
}

impl fmt::Display for RoutesFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { doing, path, why } => write!(f, "{doing} {}: {why}", path.display()),
            Self::Unusable(why) => write!(f, "{why}\nhint: correct the route; nothing was changed"),
            Self::NoUpstream { provider } => write!(
                f,
                "add a route for {provider}: its base URL is not known\n\
                 hint: say it with `--upstream URL`; known are {}",
                known_provider::NAMES
            ),
        }
    }
}

impl std::error::Error for RoutesFileError {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn provider(name: &str) -> ProviderName {
        ProviderName::parse(name).unwrap()
    }

    fn wish(upstream: Option<&str>, header: Option<&str>, prefix: Option<&str>) -> RouteArgs {
        RouteArgs {
            upstream: upstream.map(str::to_owned),
            auth_header: header.map(str::to_owned),
            auth_prefix: prefix.map(str::to_owned),
            ..RouteArgs::default()
        }
    }

    #[test]
    fn a_known_provider_needs_no_words() {
        let route = route(None, &provider("github"), &RouteArgs::default()).unwrap();
        assert_eq!(route["upstream"], "https://api.github.com");
        assert_eq!(route["auth_prefix"], "token ");
    }

    #[test]
    fn an_unknown_provider_needs_an_upstream() {
        let error = route(None, &provider("mine"), &RouteArgs::default()).unwrap_err();
        assert!(error.to_string().contains("--upstream"));
        let plain = route(None, &provider("mine"), &wish(Some("https://x.test"), None, None));
        assert_eq!(Value::Object(plain.unwrap()), json!({ "upstream": "https://x.test" }));
    }

    #[test]
    fn a_header_of_its_own_gets_no_bearer() {
        let wish = wish(Some("https://x.test"), Some("X-Api-Key"), None);
        let route = route(None, &provider("mine"), &wish).unwrap();
        assert_eq!(route["auth_prefix"], "");
    }

    #[test]
    fn an_existing_route_changes_only_where_asked() {
        let old = json!({ "upstream": "https://old.test", "x-note": 5, "auth_header": "X-Key" });
        let same = route(Some(&old), &provider("github"), &RouteArgs::default()).unwrap();
        assert_eq!(Value::Object(same), old);
        let moved = wish(Some("https://new.test"), None, None);
        let moved = route(Some(&old), &provider("github"), &moved).unwrap();
        assert_eq!(
            Value::Object(moved),
            json!({ "upstream": "https://new.test", "x-note": 5, "auth_header": "X-Key" })
        );
    }

    #[test]
    fn other_routes_and_unknown_members_survive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("routes.json");
        let other = json!({ "upstream": "https://o.test", "x-note": [1, { "a": null }] });
        fs::write(&path, json!({ "other": other }).to_string()).unwrap();
        assert!(update(&path, &provider("github"), &RouteArgs::default()).unwrap());
        assert!(!update(&path, &provider("github"), &RouteArgs::default()).unwrap());
        let table = read(&path).unwrap();
        assert_eq!(table["other"], other);
        assert!(table.contains_key("github"));
    }

    #[test]
    fn a_table_that_would_be_unusable_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("routes.json");
        let wish = wish(Some("ftp://x.test"), None, None);
        let error = update(&path, &provider("mine"), &wish).unwrap_err();
        assert!(error.to_string().contains("`upstream`"), "{error}");
        assert!(!path.exists());
        fs::write(&path, "{").unwrap();
        assert!(update(&path, &provider("github"), &RouteArgs::default()).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "{");
    }

    #[test]
    fn a_link_to_the_table_stays_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (path, target) = (dir.path().join("routes.json"), dir.path().join("kept.json"));
        fs::write(&target, "{}").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(update(&path, &provider("github"), &RouteArgs::default()).unwrap());
        assert!(path.is_symlink() && read(&target).unwrap().contains_key("github"));
    }
}

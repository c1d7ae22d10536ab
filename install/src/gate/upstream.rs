//! Where a mirror comes from: a URL, and the name of what opens it. Kept in the mirror's own
//! configuration; nothing in it is secret.

use std::fmt;

use super::mirror::{Mirror, MirrorError};

const URL: &str = "terok.upstream";
const CREDENTIAL: &str = "terok.credential";
const SET: &str = "terok.credentialSet";
const SCOPE: &str = "terok.scope";

/// A checked URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Url {
    /// Asks for a credential; `origin` is its protocol and host.
    Web { url: String, origin: String },
    /// Asks for a key.
    Ssh { url: String },
    /// Asks for nothing.
    Open { url: String },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upstream {
    pub(super) url: Url,
    /// Provider of the vault's credential, for `Web`.
    pub(super) credential: Option<String>,
    pub(super) set: String,
    /// Whose SSH keys, for `Ssh`.
    pub(super) scope: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum UrlError {
    Empty,
    ControlCharacter,
    /// A password would end up in the configuration.
    Password,
    Protocol(String),
    /// git would take it for an option.
    Dash,
    NoHost,
}

impl Url {
    /// # Errors
    /// A URL that git cannot use, or that has a password in it.
    pub(super) fn parse(text: &str) -> Result<Self, UrlError> {
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.starts_with('-') {
            return Err(UrlError::Dash);
        }
        if text.chars().any(char::is_control) {
            return Err(UrlError::ControlCharacter);
        }
        let url = text.to_owned();
        match text.split_once("://") {
            Some((scheme, rest)) => {
                let authority = rest.split('/').next().unwrap_or_default();
                let (user, host) = match authority.rsplit_once('@') {
                    Some((user, host)) => (Some(user), host),
                    None => (None, authority),
                };
                let is_web = matches!(scheme, "http" | "https");
                // A lone user name of a web URL is as often a token.
                if user.is_some_and(|user| is_web || user.contains(':')) {
                    return Err(UrlError::Password);
                }
                if host.is_empty() && scheme != "file" {
                    return Err(UrlError::NoHost);
                }
                match scheme {
                    "http" | "https" => Ok(Self::Web { url, origin: format!("{scheme}://{host}") }),
                    "ssh" => Ok(Self::Ssh { url }),
                    "file" | "git" => Ok(Self::Open { url }),
                    other => Err(UrlError::Protocol(other.to_owned())),
                }
            }
            // As git-clone(1) tells `host:path` from a path: by the colon before any slash.
            None => match text.split_once(':') {
                Some((_, rest)) if rest.starts_with(':') => {
                    Err(UrlError::Protocol(text.split(':').next().unwrap_or_default().to_owned()))
                }
                Some((host, _)) if !host.contains('/') => Ok(Self::Ssh { url }),
                _ => {
                    let absolute = std::path::absolute(text).ok();
                    let path = absolute.and_then(|path| path.to_str().map(str::to_owned));
                    Ok(Self::Open { url: path.unwrap_or(url) })
                }
            },
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Web { url, .. } | Self::Ssh { url } | Self::Open { url } => url,
        }
    }
}

/// The provider whose credential a host is known to take.
pub(super) fn provider_of(origin: &str) -> Option<&'static str> {
    match origin {
        "https://github.com" => Some("github"),
        "https://gitlab.com" => Some("gitlab"),
        _ => None,
    }
}

/// The user name that goes with a token: hosts ignore it or want a fixed word.
pub(super) fn user_name(provider: &str) -> &'static str {
    match provider {
        "gitlab" => "oauth2",
        _ => "x-access-token",
    }
}

impl Upstream {
    /// What `write` left; `None` for a mirror without an upstream.
    pub(super) fn of(mirror: &Mirror) -> Result<Option<Self>, MirrorError> {
        let listed = mirror.ask(&["config", "--local", "--null", "--list"])?;
        let find = |key: &str| {
            listed.split('\0').find_map(|entry| {
                let (name, value) = entry.split_once('\n')?;
                name.eq_ignore_ascii_case(key).then(|| value.to_owned())
            })
        };
        let Some(url) = find(URL) else { return Ok(None) };
        let what = || "config".to_owned();
        let url = Url::parse(&url)
            .map_err(|why| MirrorError::Git { what: what(), said: format!("key {URL}: {why}") })?;
        Ok(Some(Self {
            url,
            credential: find(CREDENTIAL),
            set: find(SET).unwrap_or_else(|| "default".to_owned()),
            scope: find(SCOPE),
        }))
    }

    pub(super) fn write(&self, mirror: &Mirror) -> Result<(), MirrorError> {
        mirror.ask(&["config", "--local", URL, self.url.as_str()])?;
        mirror.ask(&["config", "--local", SET, &self.set])?;
        for (key, value) in [(CREDENTIAL, &self.credential), (SCOPE, &self.scope)] {
            if let Some(value) = value {
                mirror.ask(&["config", "--local", key, value])?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("read the upstream's URL: it is empty"),
            Self::ControlCharacter => {
                f.write_str("read the upstream's URL: it holds a control character")
            }
            Self::Password => f.write_str(
                "read the upstream's URL: it holds a user name or password\n\
                 hint: leave it out and store the token with `terokctl vault add`",
            ),
            Self::Protocol(protocol) => write!(
                f,
                "read the upstream's URL: protocol {protocol:?} is not used\n\
                 hint: https, ssh, `host:path`, file or a path"
            ),
            Self::Dash => f.write_str("read the upstream's URL: it begins with a dash"),
            Self::NoHost => f.write_str("read the upstream's URL: it names no host"),
        }
    }
}

impl std::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_apart_by_what_they_ask_for() {
        let web = Url::parse("https://github.com/me/web").unwrap();
        let Url::Web { origin, .. } = web else { panic!("{web:?}") };
        assert_eq!((origin.as_str(), provider_of(&origin)), ("https://github.com", Some("github")));
        for url in ["git@github.com:me/web.git", "ssh://git@h:22/p", "h:p"] {
            assert!(matches!(Url::parse(url), Ok(Url::Ssh { .. })), "{url}");
        }
        for url in ["/srv/web.git", "file:///srv/web.git", "git://h/p", "./a:b"] {
            assert!(matches!(Url::parse(url), Ok(Url::Open { .. })), "{url}");
        }
    }

    #[test]
    fn secrets_and_helpers_in_a_url_are_refused() {
        for (url, why) in [
            ("https://me:pw@h/p", UrlError::Password),
            ("https://ghp_x@h/p", UrlError::Password),
            ("ssh://me:pw@h/p", UrlError::Password),
            ("ext::sh -c x", UrlError::Protocol("ext".into())),
            ("rsync://h/p", UrlError::Protocol("rsync".into())),
            ("--upload-pack=x", UrlError::Dash),
            ("https:///p", UrlError::NoHost),
            ("https://h/\n", UrlError::ControlCharacter),
            ("", UrlError::Empty),
        ] {
            assert_eq!(Url::parse(url), Err(why), "{url}");
        }
    }
}

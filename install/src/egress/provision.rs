//! Logins of programs on this machine, provisioned for one launch: each goes into the environment
//! under a name of its own. The only part of the way that knows a provider.
//!
//! A login is lent without its refresh token, which works once and is still needed here.

use std::fmt;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use jiff::Timestamp;
use terok_shared::secret::Secret;
use vault_store::credential::{Credential, Kind};

use super::TokenRef;
use crate::Failure;
use crate::cli::{ImportFormat, RouteArgs};
use crate::credential_name::ProviderName;
use crate::known_provider;
use crate::vault::{Lendable, lendable};

/// A program whose login can be lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Program {
    /// ~/.codex/auth.json.
    Codex,
    /// ~/.claude/.credentials.json.
    Claude,
    /// ~/.config/gh/hosts.yml.
    Gh,
}

/// A login that was read.
pub(super) struct Login {
    /// What it is called in the environment.
    pub(super) reference: &'static str,
    provider: ProviderName,
    credential: Credential,
    route: RouteArgs,
}

#[derive(Debug)]
enum ProvisionError {
    NotLoggedIn { program: Program, path: PathBuf },
    ApiKey { program: Program, path: PathBuf },
    Expired { program: Program, path: PathBuf, at: i64 },
    NoExpiry { program: Program, path: PathBuf },
    NoToken { program: Program, path: PathBuf },
}

/// Reads the logins of these programs, each once.
///
/// # Errors
/// No file, no login in it, one that has ended: told with what to do.
pub(super) fn logins(programs: &[Program]) -> Result<Vec<Login>, Failure> {
    let mut logins: Vec<Login> = Vec::new();
    for program in programs {
        if logins.iter().all(|login| login.reference != program.reference()) {
            logins.push(login(*program)?);
        }
    }
    Ok(logins)
}

/// The environment that overlays the host's.
pub(super) fn environment(logins: &[Login]) -> Vec<(&'static str, Secret<String>)> {
    let value = |login: &Login| Some((login.reference, login.credential.secret()?));
    logins.iter().filter_map(value).collect()
}

/// What the value of a token ref is, and what its route needs.
pub(super) fn credential(
    logins: &mut [Login],
    provider: &ProviderName,
    reference: &str,
    value: &Secret<String>,
) -> (Credential, RouteArgs) {
    match logins.iter_mut().find(|login| login.reference == reference) {
        Some(login) => (login.lent(), std::mem::take(&mut login.route)),
        None => (known_provider::credential(provider.as_str(), value), RouteArgs::default()),
    }
}

fn login(program: Program) -> Result<Login, Failure> {
    let Lendable { path, found } = lendable(program.format())?;
    let Some((provider, credential, mut route)) = found else {
        return Err(ProvisionError::NotLoggedIn { program, path }.into());
    };
    usable(program, path, &credential, now())?;
    // Nobody renews it here.
    route.additions.remove("oauth_refresh");
    Ok(Login { reference: program.reference(), provider, credential, route })
}

/// Whether a launch can borrow it: `now` in Unix seconds.
fn usable(
    program: Program,
    path: PathBuf,
    credential: &Credential,
    now: i64,
) -> Result<(), ProvisionError> {
    if credential.secret().is_none() {
        return Err(ProvisionError::NoToken { program, path });
    }
    if program == Program::Gh {
        return Ok(());
    }
    if credential.kind() == Kind::Key {
        return Err(ProvisionError::ApiKey { program, path });
    }
    match credential.expires_at() {
        Some(at) if at <= now => Err(ProvisionError::Expired { program, path, at }),
        Some(_) => Ok(()),
        None => Err(ProvisionError::NoExpiry { program, path }),
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

impl Login {
    pub(super) fn token_ref(&self) -> TokenRef {
        TokenRef { provider: self.provider.clone(), variable: self.reference.to_owned() }
    }

    /// A copy of what a request needs; the refresh token stays here.
    fn lent(&self) -> Credential {
        let secret = self.credential.secret().expect("a login without a token was refused");
        if self.credential.kind() == Kind::Key {
            return known_provider::credential(self.provider.as_str(), &secret);
        }
        let mut lent = Credential::oauth(&secret, None, self.credential.expires_at());
        for (name, value) in self.credential.companions() {
            if name != "expires_at" {
                lent.set_member(&name, value.expose().as_str().into());
            }
        }
        lent
    }
}

impl Program {
    fn format(self) -> ImportFormat {
        match self {
            Self::Codex => ImportFormat::Codex,
            Self::Claude => ImportFormat::Claude,
            Self::Gh => ImportFormat::Gh,
        }
    }

    fn reference(self) -> &'static str {
        match self {
            Self::Codex => "CODEX_HOST_CREDENTIAL_TOKEN_REF",
            Self::Claude => "CLAUDE_HOST_CREDENTIAL_TOKEN_REF",
            Self::Gh => "GH_HOST_CREDENTIAL_TOKEN_REF",
        }
    }

    /// What a person calls it, and how they log in.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Codex => ("Codex", "`codex login`"),
            Self::Claude => ("Claude Code", "`claude`, and `/login` in it"),
            Self::Gh => ("gh", "`gh auth login`"),
        }
    }

    /// The provider of its credential, for hints.
    fn provider(self) -> &'static str {
        match self {
            Self::Codex => "openai",
            Self::Claude => "anthropic",
            Self::Gh => "github",
        }
    }
}

impl fmt::Display for ProvisionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NotLoggedIn { program, path }
        | Self::ApiKey { program, path }
        | Self::Expired { program, path, .. }
        | Self::NoExpiry { program, path }
        | Self::NoToken { program, path }) = self;
        let ((name, log_in), provider) = (program.words(), program.provider());
        write!(f, "lend the login of {name}: {}", path.display())?;
        match self {
            Self::NotLoggedIn { .. } => write!(
                f,
                " is not there\n\
                 hint: log in on this machine by {log_in}; or `terokctl vault add {provider}`, and \
                 launch with `--provider {provider}`"
            ),
            Self::ApiKey { .. } => write!(
                f,
                " holds an API key, not a login\n\
                 hint: `terokctl vault import` it and launch with `--provider {provider}`, or name \
                 the variable it is in: `--token {provider}=VARIABLE`"
            ),
            Self::Expired { at, .. } => {
                let at = Timestamp::from_second(*at).unwrap_or_default();
                write!(
                    f,
                    ": the access token has expired, at {at}\n\
                     hint: use {name} once, which renews it, or log in anew by {log_in}"
                )
            }
            Self::NoExpiry { .. } => write!(
                f,
                ": the access token does not say when it ends, so it is malformed or of another \
                 kind\nhint: log in anew by {log_in}"
            ),
            Self::NoToken { .. } => {
                write!(f, ": the access token is empty\nhint: log in anew by {log_in}")
            }
        }
    }
}

impl std::error::Error for ProvisionError {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn credential_of(json: serde_json::Value) -> Credential {
        Credential::parse(&json.to_string()).unwrap()
    }

    fn refused(program: Program, json: serde_json::Value) -> String {
        usable(program, "/h/f".into(), &credential_of(json), 1000).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_lent_is_explained() {
        for (json, what, hint) in [
            (json!({"type": "api_key", "key": "k"}), "an API key", "--provider openai"),
            (
                json!({"access_token": "t", "expires_at": 1000}),
                "expired, at 1970-01-01T00:16:40Z",
                "codex login",
            ),
            (json!({"access_token": "t"}), "malformed", "codex login"),
            (json!({"access_token": "", "expires_at": 2000}), "empty", "codex login"),
        ] {
            let told = refused(Program::Codex, json);
            let (first, second) = told.split_once("\nhint: ").unwrap();
            assert!(first.contains(what) && second.contains(hint), "{told}");
        }
    }

    #[test]
    fn a_lent_login_has_no_refresh_token_and_keeps_its_account() {
        let credential = credential_of(json!({
            "type": "oauth", "access_token": "t", "refresh_token": "r", "id_token": "i",
            "expires_at": 2000, "account_id": "acc",
        }));
        let provider = ProviderName::parse("openai").unwrap();
        let login = Login { reference: "X", provider, credential, route: RouteArgs::default() };
        let lent = login.lent();
        assert!(lent.refresh_token().is_none() && lent.member("id_token").is_none());
        assert_eq!(lent.member("account_id").unwrap().expose(), "acc");
        assert_eq!(
            (lent.secret().unwrap().expose().as_str(), lent.expires_at()),
            ("t", Some(2000))
        );
    }
}

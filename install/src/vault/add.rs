//! `vault add`: stores a credential and makes sure that a route leads to its provider.

use std::fmt;

use serde_json::json;
use terok_shared::secret::Secret;
use vault_store::credential::{Credential, KeyType, MalformedCredential};

use super::open::{open, refuse_stdin_twice};
use super::routes_file;
use crate::Failure;
use crate::cli::{AddArgs, CredentialType};
use crate::credential_name::ProviderName;
use crate::directories::Directories;
use crate::known_provider;
use crate::output::tell;
use crate::secret_source::{SecretError, Source};

#[derive(Debug)]
pub(super) enum AddError {
    Read(SecretError),
    Malformed(MalformedCredential),
    /// A JSON object without a value the broker could present.
    NoSecret,
    /// No header can carry it (RFC 9110 section 5.5).
    NotAHeaderValue,
    /// The credential is stored, its route is not.
    RouteAfterwards {
        provider: ProviderName,
        why: Box<routes_file::RoutesFileError>,
    },
}

pub(super) fn run(directories: &Directories, args: &AddArgs) -> Result<(), Failure> {
    let (provider, set) = (&args.credential.provider, &args.credential.set);
    let routes = directories.routes();
    routes_file::check(&routes, provider, &args.route)?;
    let source = source(args);
    refuse_stdin_twice(&args.unlock, &source)?;
    let mut vault = open(directories, &args.unlock)?;
    let credential = credential(args, &source)?;

    let was_there = vault.credential(set.as_str(), provider.as_str()).is_ok_and(|c| c.is_some());
    vault.put_credential(set.as_str(), provider.as_str(), &credential)?;
    let routed = routes_file::update(&routes, provider, &args.route).map_err(|why| {
        AddError::RouteAfterwards { provider: provider.clone(), why: Box::new(why) }
    })?;

    let verb = if was_there { "replaced" } else { "stored" };
    let route = if routed { "written to" } else { "as it was in" };
    let told = format!(
        "{verb} the credential for {provider} in set {set}; its route is {route} {}",
        routes.display()
    );
    let facts = json!({
        "provider": provider.as_str(),
        "set": set.as_str(),
        "replaced": was_there,
        "routes": routes,
        "route_written": routed,
    });
    Ok(tell(args.json, &told, &facts)?)
}

fn source(args: &AddArgs) -> Source {
    match (&args.env, args.json_file.as_ref().or(args.from_file.as_ref())) {
        (Some(variable), _) => Source::Variable(variable.clone()),
        (None, file) => Source::of_file(file.map(|path| path.as_path())),
    }
}

fn credential(args: &AddArgs, source: &Source) -> Result<Credential, AddError> {
    if args.json_file.is_some() {
        let text = source.text("credential").map_err(AddError::Read)?;
        let credential = Credential::parse(text.expose()).map_err(AddError::Malformed)?;
        let secret = credential.secret().ok_or(AddError::NoSecret)?;
        header_value(&secret)?;
        return Ok(credential);
    }
    let what = format!("credential for {}", args.credential.provider);
    let line = source.line(&what).map_err(AddError::Read)?;
    // Blanks around it come from copying; a header value has none at its ends.
    let secret = Secret::from(line.expose().trim().to_owned());
    header_value(&secret)?;
    Ok(match args.credential_type {
        Some(CredentialType::Oauth) => Credential::oauth(&secret, None, None),
        Some(CredentialType::ApiKey) => Credential::key(KeyType::ApiKey, &secret),
        Some(CredentialType::OauthToken) => Credential::key(KeyType::OAuthToken, &secret),
        Some(CredentialType::Pat) => Credential::key(KeyType::PersonalAccessToken, &secret),
        None => {
            Credential::key(known_provider::key_type(args.credential.provider.as_str()), &secret)
        }
    })
}

/// Whether a header can carry it (RFC 9110 section 5.5).
pub(super) fn header_value(secret: &Secret<String>) -> Result<(), AddError> {
    let text = secret.expose();
    if text.is_empty() || !text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err(AddError::NotAHeaderValue);
    }
    Ok(())
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(why) => why.fmt(f),
            Self::Malformed(why) => why.fmt(f),
            Self::NoSecret => f.write_str(
                "read credential: it has none of `access_token`, `token` and `key`, as its \
                 `type` asks for\n\
                 hint: {\"type\": \"oauth\", \"access_token\": …, \"refresh_token\": …, \
                 \"expires_at\": unix seconds}",
            ),
            Self::NotAHeaderValue => f.write_str(
                "read credential: no HTTP header can carry it; expected printable ASCII",
            ),
            Self::RouteAfterwards { provider, why } => {
                write!(f, "the credential for {provider} is stored, its route is not: {why}")
            }
        }
    }
}

impl std::error::Error for AddError {}

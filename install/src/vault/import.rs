//! `vault import`: what other programs keep in their files becomes credentials of the vault, with
//! routes that lead to their providers. The files stay as they are.
//!
//! A reader for each format turns a file into credentials that were found; they are stored here,
//! all or none.

mod claude;
mod codex;
mod gh;
mod glab;

mod env_file;
mod json_file;

mod place;

mod lend;

use std::fmt;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Map, Value};
use terok_shared::secret::Secret;
use vault_store::credential::{Credential, Kind};

pub(crate) use self::lend::{Lendable, lendable};
use self::place::PlaceError;
use super::add::header_value;
use super::open::{open, refuse_stdin_twice};
use super::routes_file;
use crate::Failure;
use crate::cli::{ImportArgs, ImportFormat, RouteArgs};
use crate::credential_name::ProviderName;
use crate::directories::Directories;
use crate::output::{print, print_json, remark};
use crate::secret_source::{SecretError, Source};
use crate::yaml::NotYaml;

/// Programs that write their file in place leave it half-written for a moment.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// A credential of a file, and what its provider's route needs for it.
#[derive(Debug)]
struct Found {
    provider: ProviderName,
    credential: Credential,
    route: RouteArgs,
}

/// All that was found in a file.
#[derive(Debug, Default)]
struct Finds {
    found: Vec<Found>,
    /// What the operator should know about the rest.
    notes: Vec<String>,
}

/// Why a file has no credentials for us. No variant quotes the file.
#[derive(Debug)]
enum ContentError {
    NotJson {
        line: usize,
        column: usize,
    },
    NotYaml {
        line: usize,
    },
    /// A file of another kind, or of a program that is not logged in. `hint` is the way out.
    NoCredential {
        what: &'static str,
        hint: String,
    },
    NotAProvider {
        name: String,
    },
}

#[derive(Debug)]
enum ImportError {
    Place(PlaceError),
    Read(SecretError),
    Content {
        file: Source,
        why: ContentError,
    },
    /// One provider was named for several credentials.
    SeveralForOneProvider,
    NotAHeaderValue {
        provider: ProviderName,
    },
    /// The credentials are stored, a route is not.
    RouteAfterwards {
        provider: ProviderName,
        why: Box<routes_file::RoutesFileError>,
    },
}

impl Found {
    fn usual(provider: &str, credential: Credential) -> Self {
        let provider = ProviderName::parse(provider).expect("names in the programs are plain");
        Self { provider, credential, route: RouteArgs::default() }
    }

    /// Adds members to the provider's route, where it does not have them.
    fn with_route(mut self, members: Value) -> Self {
        if let Value::Object(members) = members {
            self.route.additions.extend(members);
        }
        self
    }
}

pub(super) fn run(directories: &Directories, args: &ImportArgs) -> Result<(), Failure> {
    let source = place::of(args).map_err(ImportError::Place)?;
    refuse_stdin_twice(&args.unlock, &source)?;
    let mut finds = read(&source, args)?;
    if let Some(provider) = &args.provider {
        let [only] = &mut finds.found[..] else {
            return Err(ImportError::SeveralForOneProvider.into());
        };
        only.provider = provider.clone();
    }
    let routes = directories.routes();
    for found in &finds.found {
        let secret = found.credential.secret();
        if secret.is_none_or(|secret| header_value(&secret).is_err()) {
            let provider = found.provider.clone();
            return Err(ImportError::NotAHeaderValue { provider }.into());
        }
        routes_file::check(&routes, &found.provider, &found.route)?;
    }
    store(directories, args, finds)
}

/// Reads the file until it makes sense, for two seconds at most.
fn read(source: &Source, args: &ImportArgs) -> Result<Finds, ImportError> {
    let mut tries = 1;
    loop {
        let text = source.text("credentials").map_err(ImportError::Read)?;
        match parse(&text, args) {
            Err(ContentError::NotJson { .. })
                if tries < TRIES && matches!(source, Source::File(_)) =>
            {
                tries += 1;
                sleep(BETWEEN_TRIES);
            }
            other => {
                return other.map_err(|why| ImportError::Content { file: source.clone(), why });
            }
        }
    }
}

fn parse(text: &Secret<String>, args: &ImportArgs) -> Result<Finds, ContentError> {
    let text = text.expose();
    let host = |usual: &'static str| args.host.clone().unwrap_or_else(|| usual.to_owned());
    match args.format {
        ImportFormat::Claude => claude::read(text, !args.no_refresh),
        ImportFormat::Codex => codex::read(text, !args.no_refresh),
        ImportFormat::Gh => gh::read(text, &host(gh::HOST)),
        ImportFormat::Glab => glab::read(text, &host(glab::HOST)),
        ImportFormat::Env => env_file::read(text),
        ImportFormat::Json => json_file::read(text),
    }
}

fn store(directories: &Directories, args: &ImportArgs, finds: Finds) -> Result<(), Failure> {
    let mut vault = open(directories, &args.unlock)?;
    let mut credentials = Vec::with_capacity(finds.found.len());
    let mut routes = Vec::with_capacity(finds.found.len());
    for Found { provider, credential, route } in finds.found {
        let renewed = credential.kind() == Kind::OAuth && credential.refresh_token().is_some();
        credentials.push((provider.to_string(), credential));
        routes.push((provider, route, renewed));
    }
    vault.put_credentials(args.set.as_str(), &credentials)?;
    let mut stored = Vec::with_capacity(routes.len());
    for (provider, wish, renewed) in routes {
        routes_file::update(&directories.routes(), &provider, &wish).map_err(|why| {
            ImportError::RouteAfterwards { provider: provider.clone(), why: Box::new(why) }
        })?;
        let told = format!("stored the credential for {provider} in set {}", args.set);
        if !args.json {
            print(&told)?;
        }
        stored.push(serde_json::json!({ "provider": provider.as_str(), "renewed": renewed }));
        if renewed {
            remark(&format!(
                "note: the vault renews the login for {provider}; the program it came from will \
                 have to log in again"
            ));
        }
    }
    finds.notes.iter().for_each(|note| remark(&format!("note: {note}")));
    if args.json {
        print_json(&serde_json::json!({ "set": args.set.as_str(), "stored": stored }))?;
    }
    Ok(())
}

/// JSON of a known shape. The parser's own message could quote a value; the place is enough.
fn json<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, ContentError> {
    serde_json::from_str(text)
        .map_err(|why| ContentError::NotJson { line: why.line(), column: why.column() })
}

/// A credential with members besides those every credential of its kind has.
fn with_members(mut credential: Credential, members: Map<String, Value>) -> Credential {
    for (name, value) in members {
        if !value.is_null() {
            credential.set_member(&name, value);
        }
    }
    credential
}

impl From<NotYaml> for ContentError {
    fn from(NotYaml { line }: NotYaml) -> Self {
        Self::NotYaml { line }
    }
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson { line, column } => {
                write!(f, "not the JSON it should be, at line {line} column {column}")
            }
            Self::NotYaml { line } => write!(f, "not the YAML it should be, at line {line}"),
            Self::NoCredential { what, hint } => write!(f, "{what}\nhint: {hint}"),
            Self::NotAProvider { name } => write!(f, "{name:?} is no provider's name"),
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(why) => why.fmt(f),
            Self::Read(why) => why.fmt(f),
            Self::Content { file, why } => write!(f, "import {file}: {why}"),
            Self::SeveralForOneProvider => f.write_str(
                "import: `--provider` names one, the file has credentials for several; nothing \
                 was stored",
            ),
            Self::NotAHeaderValue { provider } => write!(
                f,
                "import the credential for {provider}: no HTTP header can carry its value; \
                 nothing was stored"
            ),
            Self::RouteAfterwards { provider, why } => {
                write!(f, "the credential for {provider} is stored, its route is not: {why}")
            }
        }
    }
}

impl std::error::Error for ImportError {}

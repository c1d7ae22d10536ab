//! Credentials of this machine that one launch borrows: values of its environment, and the logins
//! of programs on it. What is borrowed lies in the vault in a set of the launch's own, and goes
//! with it.
//!
//! `provision` is the one part that knows a provider: it puts a program's login under a name.
//! `resolve` (pure) looks names up and cares for nothing else. `dummy` writes the files that
//! clients insist on, without anything of worth in them.

mod token_ref;

mod provision;
mod resolve;

mod dummy;

mod launch_set;

use std::env;
use std::fmt;

use terok_shared::secret::Secret;
use vault_store::credential::Credential;

use crate::Failure;
use crate::cli::RouteArgs;
use crate::credential_name::ProviderName;

pub(crate) use self::dummy::{Dummy, ENDINGS as DUMMY_ENDINGS};
pub(crate) use self::launch_set::{Forgotten, container_of, forget, set_of};
pub(crate) use self::provision::Program;
pub(crate) use self::resolve::Environment;
pub(crate) use self::token_ref::TokenRef;

/// One credential that a launch borrows.
#[derive(Debug)]
pub(crate) struct Borrowed {
    pub(crate) provider: ProviderName,
    pub(crate) credential: Credential,
    /// What the provider's route needs for it, where it does not say so yet.
    pub(crate) route: RouteArgs,
}

#[derive(Debug)]
enum EgressError {
    /// Nobody could tell which of the two a container gets.
    Twice { provider: ProviderName },
    /// No header can carry it (RFC 9110 section 5.5).
    NotAHeaderValue { variable: String },
}

/// Reads what the operator's words ask for; nothing is stored yet.
///
/// # Errors
/// A variable that is unset or empty, a program that is not logged in.
pub(crate) fn borrow(tokens: &[TokenRef], programs: &[Program]) -> Result<Vec<Borrowed>, Failure> {
    let mut logins = provision::logins(programs)?;
    let mut wanted = tokens.to_vec();
    for login in &logins {
        if !wanted.iter().any(|token| token.variable == login.reference) {
            wanted.push(login.token_ref());
        }
    }
    for (at, token) in wanted.iter().enumerate() {
        if wanted[..at].iter().any(|other| other.provider == token.provider) {
            return Err(EgressError::Twice { provider: token.provider.clone() }.into());
        }
    }
    let host = |name: &str| env::var_os(name);
    let environment = Environment { host: &host, provisioned: provision::environment(&logins) };
    let slots = resolve::resolve(&wanted, &environment)?;
    let mut borrowed = Vec::with_capacity(wanted.len());
    for TokenRef { provider, variable } in wanted {
        let value = slots.value(&variable).expect("every reference was resolved");
        if !is_header_value(value) {
            return Err(EgressError::NotAHeaderValue { variable }.into());
        }
        let (credential, route) = provision::credential(&mut logins, &provider, &variable, value);
        borrowed.push(Borrowed { provider, credential, route });
    }
    Ok(borrowed)
}

fn is_header_value(value: &Secret<String>) -> bool {
    value.expose().bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

impl fmt::Display for EgressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice { provider } => write!(
                f,
                "borrow a credential for {provider}: it is asked for twice\n\
                 hint: give one of them another provider's name, or leave it out"
            ),
            Self::NotAHeaderValue { variable } => write!(
                f,
                "borrow variable {variable}: no HTTP header can carry its value; expected \
                 printable ASCII"
            ),
        }
    }
}

impl std::error::Error for EgressError {}

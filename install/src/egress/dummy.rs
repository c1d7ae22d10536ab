//! Files that clients look for before they send a request: a login in form, with a phantom token
//! where the credential would be. Pure.

mod claude;
mod codex;

use terok_shared::secret::Secret;
use terok_shared::token::EntropyError;
use vault_store::credential::{Credential, Kind};

/// The end of a login that the vault renews: 2100-01-01, so that no client tries to.
const RENEWED_FOR_EVER: i64 = 4_102_444_800;

/// Where a client would keep the token that renews a login.
const NO_REFRESH_TOKEN: &str = "terok-has-no-refresh-token";

/// What a client's file says of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dummy {
    Codex(codex::Facts),
    Claude(claude::Facts),
}

impl Dummy {
    /// For the login of a provider whose client insists on a file.
    pub(crate) fn of(provider: &str, credential: &Credential) -> Option<Self> {
        match (provider, credential.kind()) {
            ("openai", Kind::OAuth) => Some(Self::Codex(codex::Facts::of(credential))),
            ("anthropic", Kind::OAuth) => Some(Self::Claude(claude::Facts::of(credential))),
            _ => None,
        }
    }

    /// A new phantom token of the form that the client takes.
    pub(crate) fn mint(&self) -> Result<Secret<String>, EntropyError> {
        match self {
            Self::Codex(facts) => facts.mint(),
            Self::Claude(_) => claude::mint(),
        }
    }

    /// The file; `now` in Unix seconds.
    pub(crate) fn text(&self, phantom: &Secret<String>, now: i64) -> Secret<String> {
        match self {
            Self::Codex(facts) => facts.text(phantom, now),
            Self::Claude(facts) => facts.text(),
        }
    }

    /// Below the home of the container's user.
    pub(crate) fn place(&self) -> &'static str {
        match self {
            Self::Codex(_) => ".codex/auth.json",
            Self::Claude(_) => ".claude/.credentials.json",
        }
    }

    /// What the file is called on this machine, after the container's name and a dot.
    pub(crate) fn ending(&self) -> &'static str {
        match self {
            Self::Codex(_) => ENDINGS[0],
            Self::Claude(_) => ENDINGS[1],
        }
    }
}

/// Every [`Dummy::ending`].
pub(crate) const ENDINGS: [&str; 2] = ["codex-auth", "claude-auth"];

/// When the access token ends, in Unix seconds, as far as the container is concerned.
fn end(credential: &Credential) -> i64 {
    match credential.refresh_token() {
        Some(_) => RENEWED_FOR_EVER,
        None => credential.expires_at().unwrap_or(RENEWED_FOR_EVER),
    }
}

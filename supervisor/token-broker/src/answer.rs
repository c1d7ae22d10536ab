//! The one place where trouble becomes a response: status, fixed phrase, and the audit's word.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use vault_grant::Refusal;

use crate::audit::Entry;
use crate::grants::CredentialTrouble;
use crate::limit::Exceeded;
use crate::relay::{Cut, Relay};
use crate::upstream::Failure;

/// The body of a response: a phrase of ours, or the upstream's as it comes.
pub(crate) enum Answer {
    Fixed(Full<Bytes>),
    Relayed(Relay),
}

/// Why a request did not reach its upstream, or got no response there.
#[derive(Debug)]
pub(crate) enum Trouble {
    BadTarget,
    MissingToken,
    InvalidToken,
    WrongScope,
    NoRoute { provider: String },
    NotAllowed,
    Exceeded(Exceeded),
    Credential(CredentialTrouble),
    VaultLocked,
    VaultSilent,
    Upstream(Failure),
}

impl Trouble {
    /// The response, with its audit line.
    pub(crate) fn answer(&self, entry: Entry) -> Response<Answer> {
        let status = self.status();
        entry.end(status.as_u16(), self.outcome());
        let mut response = fixed(status, "text/plain; charset=utf-8", self.phrase().into());
        if let Self::Exceeded(exceeded) = self {
            response.headers_mut().insert(RETRY_AFTER, exceeded.retry_after.into());
        }
        response
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::BadTarget | Self::Upstream(Failure::RequestBody) => StatusCode::BAD_REQUEST,
            Self::MissingToken | Self::InvalidToken => StatusCode::UNAUTHORIZED,
            Self::WrongScope | Self::NotAllowed => StatusCode::FORBIDDEN,
            Self::Exceeded(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::NoRoute { .. } => StatusCode::NOT_FOUND,
            Self::Credential(_) | Self::Upstream(_) => StatusCode::BAD_GATEWAY,
            Self::VaultLocked | Self::VaultSilent => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn phrase(&self) -> String {
        match self {
            Self::BadTarget => "Request target must be a path".into(),
            Self::MissingToken => "Missing authentication".into(),
            Self::InvalidToken => "Invalid token".into(),
            Self::WrongScope => "Token not valid for this container".into(),
            Self::NoRoute { provider } => format!("No route for provider: {provider}"),
            Self::NotAllowed => "Not allowed by this route's rules".into(),
            Self::Exceeded(exceeded) => {
                format!("Limit of this route reached: {}", exceeded.ceiling)
            }
            Self::Credential(CredentialTrouble::Missing) => {
                "Credential not configured for this provider".into()
            }
            Self::Credential(CredentialTrouble::Misconfigured) => "Credential misconfigured".into(),
            Self::VaultLocked => "Vault is locked".into(),
            Self::VaultSilent => "Vault is not answering".into(),
            Self::Upstream(Failure::Disconnected) => "Upstream disconnected".into(),
            Self::Upstream(Failure::RequestBody) => "Malformed request body".into(),
            Self::Upstream(Failure::Redirect) => "Upstream redirect refused".into(),
            Self::Upstream(failure) => match failure.class() {
                Some(class) => format!("Upstream request failed: {class}"),
                None => "Upstream request failed".into(),
            },
        }
    }

    fn outcome(&self) -> &'static str {
        match self {
            Self::BadTarget => "bad_request",
            Self::MissingToken => "missing_token",
            Self::InvalidToken => "invalid_token",
            Self::WrongScope => "wrong_scope",
            Self::NoRoute { .. } => "no_route",
            Self::NotAllowed => "not_allowed",
            Self::Exceeded(_) => "limited",
            Self::Credential(CredentialTrouble::Missing) => "credential_missing",
            Self::Credential(CredentialTrouble::Misconfigured) => "credential_misconfigured",
            Self::VaultLocked => "vault_locked",
            Self::VaultSilent => "vault_unavailable",
            Self::Upstream(failure) => failure.outcome(),
        }
    }
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownToken => Self::InvalidToken,
            Refusal::WrongScope(_) => Self::WrongScope,
            // A signer's token: its provider has no route to anywhere.
            Refusal::WrongProvider => Self::NoRoute { provider: "ssh".into() },
            Refusal::Locked => Self::VaultLocked,
            Refusal::NotYours | Refusal::Unavailable => Self::VaultSilent,
        }
    }
}

/// The answer to the health check.
pub(crate) fn healthy() -> Response<Answer> {
    fixed(StatusCode::OK, "application/json", r#"{"status":"ok"}"#.into())
}

/// The body of a response that has none.
pub(crate) fn empty() -> Answer {
    Answer::Fixed(Full::default())
}

fn fixed(status: StatusCode, kind: &'static str, text: Bytes) -> Response<Answer> {
    let mut response = Response::new(Answer::Fixed(Full::new(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match self.get_mut() {
            Self::Fixed(text) => Pin::new(text).poll_frame(cx).map_err(|never| match never {}),
            Self::Relayed(relay) => Pin::new(relay).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Fixed(text) => text.is_end_stream(),
            Self::Relayed(relay) => relay.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Fixed(text) => text.size_hint(),
            Self::Relayed(relay) => relay.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_have_the_contracts_status_phrase_and_outcome() {
        use Trouble::*;
        let provider = || "p".to_owned();
        for (trouble, status, phrase, outcome) in [
            (MissingToken, 401, "Missing authentication", "missing_token"),
            (InvalidToken, 401, "Invalid token", "invalid_token"),
            (WrongScope, 403, "Token not valid for this container", "wrong_scope"),
            (NoRoute { provider: provider() }, 404, "No route for provider: p", "no_route"),
            (
                Credential(CredentialTrouble::Missing),
                502,
                "Credential not configured for this provider",
                "credential_missing",
            ),
            (
                Credential(CredentialTrouble::Misconfigured),
                502,
                "Credential misconfigured",
                "credential_misconfigured",
            ),
            (NotAllowed, 403, "Not allowed by this route's rules", "not_allowed"),
            (
                Exceeded(crate::limit::Exceeded { ceiling: "concurrent", retry_after: 1 }),
                429,
                "Limit of this route reached: concurrent",
                "limited",
            ),
            (VaultLocked, 503, "Vault is locked", "vault_locked"),
        ] {
            assert_eq!(
                (trouble.status().as_u16(), trouble.phrase().as_str(), trouble.outcome()),
                (status, phrase, outcome)
            );
        }
    }

    #[test]
    fn upstream_failures_are_502_with_their_class() {
        for (failure, phrase, outcome) in [
            (Failure::NameResolution, ": name resolution", "upstream_error:dns"),
            (Failure::ConnectionRefused, ": connection refused", "upstream_error:connect"),
            (Failure::HostUnreachable, ": host unreachable", "upstream_error:connect"),
            (Failure::NetworkUnreachable, ": network unreachable", "upstream_error:connect"),
            (Failure::ConnectTimeout, ": connect timeout", "upstream_error:timeout"),
            (Failure::Timeout, ": timeout", "upstream_error:timeout"),
            (Failure::TlsVerification, ": TLS verification", "upstream_error:tls"),
            (Failure::Tls, ": TLS", "upstream_error:tls"),
        ] {
            let trouble = Trouble::Upstream(failure);
            assert_eq!(trouble.status().as_u16(), 502);
            assert_eq!(trouble.phrase(), format!("Upstream request failed{phrase}"));
            assert_eq!(trouble.outcome(), outcome);
        }
        let gone = Trouble::Upstream(Failure::Disconnected);
        assert_eq!(
            (gone.phrase().as_str(), gone.outcome()),
            ("Upstream disconnected", "upstream_disconnected")
        );
    }
}

//! Why an upstream gave no response, in the words a client may hear: never an address.

use std::error::Error;

use hyper_util::client::legacy;
use nix::errno::Errno;

use super::dial::DialError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    NameResolution,
    ConnectionRefused,
    HostUnreachable,
    NetworkUnreachable,
    /// Another failure to connect.
    Connect,
    ConnectTimeout,
    /// Connected, then silent for too long.
    Timeout,
    TlsVerification,
    Tls,
    /// Closed before it answered.
    Disconnected,
    /// Answered something that is not HTTP.
    NotHttp,
    /// The client's own body was malformed.
    RequestBody,
    /// Redirected to where no redirect may lead, or too often.
    Redirect,
}

impl Failure {
    pub(crate) fn of(error: &legacy::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(dial) = error.downcast_ref::<DialError>() {
                return Self::of_dial(dial);
            }
            if let Some(http) = error.downcast_ref::<hyper::Error>() {
                return Self::of_http(http);
            }
            cause = error.source();
        }
        Self::Disconnected
    }

    pub(crate) fn of_dial(error: &DialError) -> Self {
        match error {
            DialError::Name(_) => Self::NameResolution,
            DialError::OutOfReach => Self::Redirect,
            DialError::TimedOut => Self::ConnectTimeout,
            DialError::Certificate(_) => Self::TlsVerification,
            DialError::Tls(_) => Self::Tls,
            DialError::Connect { errno, .. } => match errno {
                Some(Errno::ECONNREFUSED) => Self::ConnectionRefused,
                Some(Errno::EHOSTUNREACH) => Self::HostUnreachable,
                Some(Errno::ENETUNREACH) => Self::NetworkUnreachable,
                Some(Errno::ETIMEDOUT) => Self::ConnectTimeout,
                _ => Self::Connect,
            },
        }
    }

    pub(crate) fn of_http(error: &hyper::Error) -> Self {
        if error.is_user() {
            Self::RequestBody
        } else if error.is_parse() {
            Self::NotHttp
        } else {
            Self::Disconnected
        }
    }

    /// The class as a client hears it; some failures have none.
    pub(crate) fn class(self) -> Option<&'static str> {
        Some(match self {
            Self::NameResolution => "name resolution",
            Self::ConnectionRefused => "connection refused",
            Self::HostUnreachable => "host unreachable",
            Self::NetworkUnreachable => "network unreachable",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect timeout",
            Self::Timeout => "timeout",
            Self::TlsVerification => "TLS verification",
            Self::Tls => "TLS",
            Self::Disconnected | Self::NotHttp | Self::RequestBody | Self::Redirect => {
                return None;
            }
        })
    }

    /// The audit's word.
    pub(crate) fn outcome(self) -> &'static str {
        match self {
            Self::NameResolution => "upstream_error:dns",
            Self::ConnectionRefused
            | Self::HostUnreachable
            | Self::NetworkUnreachable
            | Self::Connect => "upstream_error:connect",
            Self::ConnectTimeout | Self::Timeout => "upstream_error:timeout",
            Self::TlsVerification | Self::Tls => "upstream_error:tls",
            Self::NotHttp => "upstream_error",
            Self::Disconnected => "upstream_disconnected",
            Self::RequestBody => "bad_request",
            Self::Redirect => "redirect_refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_to_a_connect_has_its_class() {
        for (errno, class, outcome) in [
            (Some(Errno::ECONNREFUSED), "connection refused", "upstream_error:connect"),
            (Some(Errno::EHOSTUNREACH), "host unreachable", "upstream_error:connect"),
            (Some(Errno::ENETUNREACH), "network unreachable", "upstream_error:connect"),
            (Some(Errno::ETIMEDOUT), "connect timeout", "upstream_error:timeout"),
            (Some(Errno::EADDRNOTAVAIL), "connect", "upstream_error:connect"),
            (None, "connect", "upstream_error:connect"),
        ] {
            let failure = Failure::of_dial(&DialError::Connect { errno, why: "10.0.0.1".into() });
            assert_eq!((failure.class(), failure.outcome()), (Some(class), outcome));
        }
    }
}

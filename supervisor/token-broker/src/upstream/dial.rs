//! A new connection to an upstream: name, TCP, TLS, all within one limit.
//!
//! In: a URL. Out: a stream, or which of the three failed.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use nix::errno::Errno;
use rustls::ClientConfig;
use tokio::time::timeout;
use tower_service::Service;

use super::reach::Reach;
use super::stream::Stream;

/// From the name to the end of the TLS handshake.
const LIMIT: Duration = Duration::from_secs(10);
/// A little less, so that a silent name server is not taken for a silent upstream.
const RESOLVE_LIMIT: Duration = Duration::from_millis(9_900);
/// Finds dead peers of long streams in minutes.
const KEEPALIVE: Duration = Duration::from_secs(60);

type Boxed<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

#[derive(Clone)]
pub(crate) struct Dial {
    inner: HttpsConnector<HttpConnector<Resolver>>,
}

/// Which step failed, and the details for our own log.
#[derive(Debug)]
pub(crate) enum DialError {
    Name(Box<dyn Error + Send + Sync>),
    /// Resolved, but to no address that this connection may lead to.
    OutOfReach,
    Connect {
        errno: Option<Errno>,
        why: Box<dyn Error + Send + Sync>,
    },
    TimedOut,
    Certificate(Box<dyn Error + Send + Sync>),
    Tls(Box<dyn Error + Send + Sync>),
}

/// What is offered in the TLS handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Versions {
    Any,
    Http1,
}

impl Dial {
    pub(crate) fn new(tls: ClientConfig, versions: Versions, reach: Reach) -> Self {
        let resolver = Resolver { system: GaiResolver::new(), reach };
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        // Shared among a name's addresses: one that drops packets leaves time for the others.
        tcp.set_connect_timeout(Some(LIMIT));
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http();
        let inner = match versions {
            Versions::Any => builder.enable_all_versions().wrap_connector(tcp),
            Versions::Http1 => builder.enable_http1().wrap_connector(tcp),
        };
        Self { inner }
    }
}

impl Service<Uri> for Dial {
    type Response = Stream;
    type Error = DialError;
    type Future = Boxed<Self::Response, DialError>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), DialError>> {
        self.inner.poll_ready(cx).map_err(DialError::from_connector)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let connecting = self.inner.call(to);
        Box::pin(async move {
            match timeout(LIMIT, connecting).await {
                Ok(connected) => connected.map(Stream::new).map_err(DialError::from_connector),
                Err(_elapsed) => Err(DialError::TimedOut),
            }
        })
    }
}

impl DialError {
    /// The TLS layer reports as `io::Error`, the layers below it as an error of their own.
    fn from_connector(why: Box<dyn Error + Send + Sync>) -> Self {
        if let Some(failed) = why.downcast_ref::<io::Error>() {
            return match tls_error(failed) {
                Some(rustls::Error::InvalidCertificate(_)) => Self::Certificate(why),
                _ => Self::Tls(why),
            };
        }
        let mut cause: Option<&(dyn Error + 'static)> = Some(&*why);
        while let Some(error) = cause {
            match error.downcast_ref::<NameNotResolved>() {
                Some(NameNotResolved::OutOfReach) => return Self::OutOfReach,
                Some(_) => return Self::Name(why),
                None => {}
            }
            if let Some(failed) = error.downcast_ref::<io::Error>() {
                if failed.kind() == io::ErrorKind::TimedOut {
                    return Self::TimedOut;
                }
                let errno = failed.raw_os_error().map(Errno::from_raw);
                return Self::Connect { errno, why };
            }
            cause = error.source();
        }
        // A host that can be no server name (RFC 6066 section 3).
        Self::Tls(why)
    }
}

/// The TLS library's word for it, out of the `io::Error`s it is wrapped in.
fn tls_error(mut error: &io::Error) -> Option<&rustls::Error> {
    loop {
        let inner = error.get_ref()?;
        if let Some(found) = inner.downcast_ref() {
            return Some(found);
        }
        error = inner.downcast_ref()?;
    }
}

/// The system's resolver, with a limit, an error of its own type, and only addresses in reach. An
/// address literal does not come here; who dials one looks at it himself.
#[derive(Clone)]
struct Resolver {
    system: GaiResolver,
    reach: Reach,
}

#[derive(Debug)]
enum NameNotResolved {
    Failed(io::Error),
    TimedOut,
    OutOfReach,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = NameNotResolved;
    type Future = Boxed<Self::Response, NameNotResolved>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NameNotResolved>> {
        self.system.poll_ready(cx).map_err(NameNotResolved::Failed)
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let (asked, reach) = (self.system.call(name), self.reach);
        Box::pin(async move {
            let answer = timeout(RESOLVE_LIMIT, asked)
                .await
                .map_err(|_elapsed| NameNotResolved::TimedOut)?
                .map_err(NameNotResolved::Failed)?;
            let within: Vec<SocketAddr> =
                answer.filter(|address| reach.allows(address.ip())).collect();
            if within.is_empty() {
                return Err(NameNotResolved::OutOfReach);
            }
            Ok(within.into_iter())
        })
    }
}

impl fmt::Display for NameNotResolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => why.fmt(f),
            Self::TimedOut => write!(f, "no answer within {} s", LIMIT.as_secs()),
            Self::OutOfReach => write!(f, "leads to addresses that are not public"),
        }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(why) => write!(f, "resolve its name: {}", innermost(&**why)),
            Self::OutOfReach => write!(f, "its name leads to addresses that are not public"),
            Self::Connect { why, .. } => write!(f, "connect: {}", innermost(&**why)),
            Self::TimedOut => write!(f, "connect: nothing within {} s", LIMIT.as_secs()),
            Self::Certificate(why) => write!(f, "verify its certificate: {why}"),
            Self::Tls(why) => write!(f, "TLS handshake: {why}"),
        }
    }
}

fn innermost<'a>(mut error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

impl Error for NameNotResolved {}
impl Error for DialError {}

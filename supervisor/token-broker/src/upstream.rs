//! Connections to upstreams: pooled, TLS where the route says so, HTTP/2 where the upstream offers
//! it (ALPN, RFC 7301).

mod dial;
mod direct;
mod failure;
mod reach;
mod roots;
mod stream;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};

use crate::upload::Upload;
use dial::Versions;
pub(crate) use dial::{Dial, DialError};
pub(crate) use direct::{Direct, Download};
pub(crate) use failure::Failure;
pub(crate) use reach::{Reach, is_public};
pub(crate) use roots::RootsError;
pub(crate) use stream::Answered;

pub(crate) type Client = legacy::Client<Dial, Upload>;

/// The clients of a route. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Clients {
    /// For the route's own upstreams.
    pub(crate) upstream: Client,
    /// For upgrades, which HTTP/2 does not have (RFC 9113 section 8.6).
    pub(crate) upgrade: Client,
    /// For redirects: reaches public addresses alone.
    pub(crate) public: Client,
    /// For upstreams without TLS.
    pub(crate) dial: Dial,
}

/// Most bytes read ahead per connection, on either side; also the bound of a message's head.
pub(crate) const BUFFER: usize = 64 * 1024;
/// Below the idle limits of common servers, so that a request seldom meets a closing connection.
pub(crate) const IDLE: Duration = Duration::from_secs(30);
const IDLE_CONNECTIONS: usize = 64;
/// Bytes under way per HTTP/2 stream: enough for a fast upstream on another continent.
const STREAM_WINDOW: u32 = 1024 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Clients by the extra roots they trust.
pub(crate) struct Upstreams {
    system: Arc<RootCertStore>,
    clients: RefCell<HashMap<Option<PathBuf>, Clients>>,
}

impl Upstreams {
    /// Reads the system's roots; call before they are out of reach.
    pub(crate) fn load() -> Self {
        Self { system: Arc::new(roots::system()), clients: RefCell::default() }
    }

    /// The clients of a route with this `ca_file`.
    pub(crate) fn clients(&self, ca_file: Option<&Path>) -> Result<Clients, RootsError> {
        let key = ca_file.map(Path::to_owned);
        if let Some(clients) = self.clients.borrow().get(&key) {
            return Ok(clients.clone());
        }
        let mut trusted = Arc::clone(&self.system);
        if let Some(file) = ca_file {
            roots::add_file(Arc::make_mut(&mut trusted), file)?;
        }
        let clients = Clients::trusting(trusted);
        self.clients.borrow_mut().insert(key, clients.clone());
        Ok(clients)
    }
}

impl Clients {
    fn trusting(roots: Arc<RootCertStore>) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            upstream: client(Dial::new(tls.clone(), Versions::Any, Reach::Everywhere)),
            upgrade: client(Dial::new(tls.clone(), Versions::Http1, Reach::Everywhere)),
            public: client(Dial::new(tls.clone(), Versions::Any, Reach::Public)),
            dial: Dial::new(tls, Versions::Http1, Reach::Everywhere),
        }
    }
}

fn client(dial: Dial) -> Client {
    legacy::Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http1_max_buf_size(BUFFER)
        .http2_initial_stream_window_size(STREAM_WINDOW)
        .http2_initial_connection_window_size(CONNECTION_WINDOW)
        .http2_max_send_buf_size(BUFFER)
        .build(dial)
}

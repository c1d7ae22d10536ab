//! The door: one client's connection, and for each of its requests the decision who may pass.

use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use terok_service::clients::{Connection, Drain};
use terok_shared::secret::Secret;
use tokio::sync::Notify;

use crate::answer::{self, Answer, Refusal};
use crate::audit::Audit;
use crate::auth::{self, Verdict};
use crate::cgi::{self, Variable};
use crate::environment::Environment;
use crate::exchange::{self, Backends, ExchangeError};
use crate::git::Git;
use crate::home::Home;
use crate::mirror::{Mirror, Presence};
use crate::outdated::Outdated;
use crate::policy_source::PolicySource;
use crate::request_body::BodyError;
use crate::route::{self, Repository, Resource, Route};

/// How long a client may take over the head of a request, and may idle between two.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// Bound of a connection's buffers, which without one grow to several hundred kilobytes.
const BUFFER: usize = 128 * 1024;
const MAX_FIELDS: usize = 64;

pub(crate) struct Door {
    token: Secret<String>,
    repository: Repository,
    pub(crate) mirror: Mirror,
    pub(crate) home: Home,
    pub(crate) git: Rc<Git>,
    pub(crate) backends: Rc<Backends>,
    /// Told when a request finds that the gate is outdated.
    pub(crate) met_outdated: Notify,
}

impl Door {
    /// `token` opens `repository`, which is `mirror`, and nothing else.
    pub(crate) fn new(
        token: Secret<String>,
        repository: Repository,
        mirror: Mirror,
        git: Git,
        home: Home,
        policy: PolicySource,
        audit: Audit,
    ) -> Self {
        let git = Rc::new(git);
        let environment = Environment::new(&git, &home, &mirror, &policy);
        let backends = Rc::new(Backends::new(Rc::clone(&git), environment, policy, audit));
        let met_outdated = Notify::new();
        Self { token, repository, mirror, home, git, backends, met_outdated }
    }

    /// Why this gate is of yesterday, if it is.
    pub(crate) fn outdated(&self) -> Option<Outdated> {
        Outdated::of(&self.mirror, &self.backends.policy, &self.home)
    }

    /// Which resource the request may have. Whether a repository exists is told to nobody but the
    /// one whose repository it is.
    fn admit(&self, request: &Request<Incoming>) -> Result<Route, Refusal> {
        let uri = request.uri();
        let route = route::route(request.method(), uri.path(), uri.query())?;
        let authorization = request.headers().get(AUTHORIZATION);
        match auth::judge(authorization.map(|value| value.as_bytes()), &self.token) {
            Verdict::Missing => return Err(Refusal::Unauthenticated),
            Verdict::Wrong => return Err(Refusal::Forbidden),
            Verdict::Granted if route.repository != self.repository => {
                return Err(Refusal::Forbidden);
            }
            Verdict::Granted => {}
        }
        if self.outdated().is_some() {
            self.met_outdated.notify_one();
        }
        match self.mirror.presence() {
            // Its hooks could not run; whoever is in the middle of something may finish.
            Presence::Served
                if route.resource == Resource::ReceivePack && self.home.is_outdated() =>
            {
                Err(Refusal::Restarting)
            }
            Presence::Served => Ok(route),
            Presence::Absent => Err(Refusal::NotFound),
            Presence::Changed => Err(Refusal::Restarting),
        }
    }

    /// The command list of a compressed push is not ours to read; git compresses none.
    fn can_judge(&self, variables: &[Variable]) -> bool {
        let is_coded = variables.iter().any(|(name, _)| *name == cgi::CODING);
        self.backends.policy.rules.is_open() || !is_coded
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Answer>, Refusal> {
        let route = self.admit(&request)?;
        let (parts, body) = request.into_parts();
        let variables =
            cgi::variables(&parts.method, &route.repository, route.resource, &parts.headers)
                .map_err(|_| Refusal::Coding)?;
        if route.resource == Resource::ReceivePack && !self.can_judge(&variables) {
            return Err(Refusal::Coding);
        }
        let request = exchange::Request { resource: route.resource, variables, body };
        match Rc::clone(&self.backends).ask(request).await {
            Ok((head, output)) => Ok(answer::pass(head, output)),
            Err(ExchangeError::Client(BodyError::Idle)) => Err(Refusal::Timeout),
            Err(why) => {
                log::warn!("{:?}: {why}", route.resource);
                Err(Refusal::Backend)
            }
        }
    }
}

/// Serves one connection until the client closes it or the gate is told to stop.
pub(crate) async fn attend(door: Rc<Door>, connection: Connection, mut drain: Drain) {
    let service = service_fn(|request| {
        let door = Rc::clone(&door);
        async move { Ok::<_, Infallible>(door.answer(request).await.unwrap_or_else(answer::refuse)) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(BUFFER)
        .max_headers(MAX_FIELDS)
        .serve_connection(TokioIo::new(connection), service);
    let mut serving = pin!(serving);
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = drain.begun() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(why) = served {
        log::debug!("a connection ended early: {why}");
    }
}

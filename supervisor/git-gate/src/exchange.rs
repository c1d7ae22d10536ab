//! One request answered by one backend: waited for a place, judged if it is a push, started.
//!
//! In: CGI variables and a request body. Out: the head of git's answer and a stream of its chunks.
//! A task of its own drives it, so that it sees a client that goes away whatever it is waiting for.

use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, StatusCode};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::answer::Output;
use crate::audit::Audit;
use crate::backend::Backend;
use crate::cgi::{CgiError, Head, MAX_HEAD, Variable};
use crate::environment::Environment;
use crate::git::Git;
use crate::policy_source::PolicySource;
use crate::push::{Opening, Underway};
use crate::request_body::{self, BodyError, Feeding};
use crate::route::Resource;
use crate::running::Running;

/// Backends at a time; further requests wait for one to end.
pub(crate) const MAX_BACKENDS: usize = 16;
/// How long one request may take in all, whoever keeps it alive: each sign of life prolongs every
/// other bound. A push of 20 GB over a line of one megabyte a second takes 5 h 40 min.
pub(crate) const LONGEST: Duration = Duration::from_secs(6 * 60 * 60);

/// What every exchange needs, and the bound on their number.
#[derive(Debug)]
pub(crate) struct Backends {
    git: Rc<Git>,
    environment: Environment,
    pub(crate) policy: PolicySource,
    audit: Rc<Audit>,
    places: Arc<Semaphore>,
}

#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) resource: Resource,
    pub(crate) variables: Vec<Variable>,
    pub(crate) body: Incoming,
}

#[derive(Debug)]
pub(crate) enum ExchangeError {
    Client(BodyError),
    Spawn(io::Error),
    Read(io::Error),
    /// git closed its output before the head of its answer was complete.
    NoAnswer,
    HeadTooLong,
    Head(CgiError),
    /// `LONGEST` is over.
    Overtime,
}

pub(crate) type Begun = Result<(Head, Output), ExchangeError>;

impl Backends {
    pub(crate) fn new(
        git: Rc<Git>,
        environment: Environment,
        policy: PolicySource,
        audit: Audit,
    ) -> Self {
        let places = Arc::new(Semaphore::new(MAX_BACKENDS));
        Self { git, environment, policy, audit: Rc::new(audit), places }
    }

    /// No backend runs and none is waited for.
    pub(crate) fn are_idle(&self) -> bool {
        self.places.available_permits() == MAX_BACKENDS
    }

    /// Hands a request to git. Dropping the future, and later the output, tells that the client is
    /// gone.
    pub(crate) async fn ask(self: Rc<Self>, request: Request) -> Begun {
        let (asker, begun) = oneshot::channel();
        tokio::task::spawn_local(self.drive(request, asker));
        begun.await.unwrap_or(Err(ExchangeError::NoAnswer))
    }

    async fn drive(self: Rc<Self>, request: Request, mut asker: oneshot::Sender<Begun>) {
        let resource = request.resource;
        let deadline = Instant::now() + LONGEST;
        let started = tokio::select! {
            started = timeout_at(deadline, self.start(request, deadline)) => {
                started.unwrap_or(Err(ExchangeError::Overtime))
            }
            () = asker.closed() => return,
        };
        match started {
            Ok(Started::Running(running)) => running.answer(resource, asker).await,
            Ok(Started::Refused(report)) => drop(asker.send(Ok(refused(report)))),
            Err(why) => drop(asker.send(Err(why))),
        }
    }

    /// No process is started for a client that sends no body, for a push that is refused, nor past
    /// the bound.
    async fn start(
        &self,
        mut request: Request,
        deadline: Instant,
    ) -> Result<Started, ExchangeError> {
        let with_body = request.resource.is_service() && !request.body.is_end_stream();
        let mut first = if with_body {
            // Asking for the first bytes is also what sends `100 Continue`.
            request_body::next(&mut request.body).await.map_err(ExchangeError::Client)?
        } else {
            None
        };
        let is_push = with_body && request.resource == Resource::ReceivePack;
        let mut opening = None;
        if is_push && !self.policy.rules.is_open() {
            let read = Opening::read(first.take(), &mut request.body).await;
            let read = read.map_err(ExchangeError::Client)?;
            if let Some(report) = read.refuse(&self.policy, &self.audit) {
                // A client reads the answer when it has sent everything.
                request_body::discard(&mut request.body).await.map_err(ExchangeError::Client)?;
                return Ok(Started::Refused(report));
            }
            first = Some(read.bytes.clone());
            opening = Some(read);
        }
        let place = Arc::clone(&self.places).acquire_owned().await.expect("it is never closed");
        let (push, news) = if is_push {
            let max_pack = self.policy.rules.max_pack_bytes();
            let begun = Underway::begin(opening, max_pack, &self.audit);
            let (push, news) = begun.map_err(ExchangeError::Spawn)?;
            (Some(push), Some(news))
        } else {
            (None, None)
        };
        let (backend, pipes) =
            Backend::spawn(&self.git, &self.environment, &request.variables, with_body, news)
                .map_err(ExchangeError::Spawn)?;
        let received = push.as_ref().map(|push| Rc::clone(&push.received)).unwrap_or_default();
        let feeding = match pipes.stdin {
            Some(stdin) => Feeding::start(first, request.body, stdin, received),
            None => Feeding::default(),
        };
        let stdout = pipes.stdout;
        let running = Running { backend, stdout, feeding, push, place, deadline };
        Ok(Started::Running(Box::new(running)))
    }
}

enum Started {
    Running(Box<Running>),
    /// git has not been asked; this is the whole answer.
    Refused(Vec<u8>),
}

/// An answer of our own, as git would send it.
fn refused(report: Vec<u8>) -> (Head, Output) {
    let mut headers = HeaderMap::new();
    let kind = HeaderValue::from_static("application/x-git-receive-pack-result");
    headers.insert(CONTENT_TYPE, kind);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let (sender, output) = mpsc::channel(1);
    // The channel is empty, so there is room.
    let _ = sender.try_send(Ok(report.into()));
    (Head { status: StatusCode::OK, headers }, output)
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(why) => write!(f, "receive the request: {why}"),
            Self::Spawn(why) => write!(f, "start git http-backend: {why}"),
            Self::Read(why) => write!(f, "read git's answer: {why}"),
            Self::NoAnswer => write!(f, "git http-backend ended without an answer"),
            Self::HeadTooLong => write!(f, "git's answer has a head above {MAX_HEAD} bytes"),
            Self::Head(why) => why.fmt(f),
            Self::Overtime => write!(f, "not done within {} h", LONGEST.as_secs() / 3600),
        }
    }
}

impl std::error::Error for ExchangeError {}

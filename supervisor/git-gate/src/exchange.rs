//! One request answered by one backend: the body goes in while the answer comes out, and each side
//! learns when the other is gone.
//!
//! In: CGI variables and a request body. Out: the head of git's answer and a stream of its chunks.
//! A task of its own drives it, so that it sees a client that goes away whatever it is waiting for.

use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hyper::HeaderMap;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::answer::{Aborted, Output};
use crate::audit::Audit;
use crate::backend::Backend;
use crate::cgi::{self, CgiError, Head, MAX_HEAD, Variable};
use crate::environment::Environment;
use crate::git::Git;
use crate::moderation::Transfer;
use crate::policy_source::PolicySource;
use crate::push::{Opening, Underway};
use crate::request_body::{self, BodyError, Feeding};
use crate::route::Resource;

/// Backends at a time; further requests wait for one to end.
const MAX_BACKENDS: usize = 16;
/// Bytes read from a backend at once: the more, the fewer calls, and the more memory.
const CHUNK: usize = 64 * 1024;
const LARGE_CHUNK: usize = 256 * 1024;
/// What all backends together may have for that, above their smallest chunks.
const CHUNKS: usize = 512 * 1024;
/// How long git may take to give up by itself on a request that was cut short.
const HANG_UP: Duration = Duration::from_millis(500);
/// How long git may say nothing once it has been told everything; at work it shows a sign of life
/// every few seconds (git-config(1), `uploadpack.keepAlive`, `receive.keepAlive`).
const SILENT: Duration = Duration::from_secs(600);
/// How long a client may leave what it asked for unread.
const UNREAD: Duration = Duration::from_secs(300);

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
}

type Begun = Result<(Head, Output), ExchangeError>;

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
        let started = tokio::select! {
            started = self.start(request) => started,
            () = asker.closed() => return,
        };
        let mut running = match started {
            Ok(Started::Running(running)) => *running,
            Ok(Started::Refused(report)) => return drop(asker.send(Ok(refused(report)))),
            Err(why) => return drop(asker.send(Err(why))),
        };
        let head = tokio::select! {
            head = timeout(SILENT, read_head(&mut running.stdout)) => {
                head.unwrap_or(Err(ExchangeError::NoAnswer))
            }
            why = running.feeding.broken() => Err(ExchangeError::Client(why)),
            () = asker.closed() => return running.abandon(resource).await,
        };
        match head {
            Err(why) => {
                running.hang_up().await;
                drop(asker.send(Err(why)));
            }
            Ok((head, rest)) => {
                let (sender, output) = mpsc::channel(1);
                // When this fails the sender's other end is gone too, and `deliver` sees it.
                drop(asker.send(Ok((head, output))));
                running.deliver(rest, sender, resource).await;
            }
        }
    }

    /// No process is started for a client that sends no body, for a push that is refused, nor past
    /// the bound.
    async fn start(&self, mut request: Request) -> Result<Started, ExchangeError> {
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
        let running = Running { backend, stdout: pipes.stdout, feeding, push, place };
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

/// A started backend; fields are dropped in this order when the gate ends.
struct Running {
    backend: Backend,
    stdout: ChildStdout,
    feeding: Feeding,
    push: Option<Underway>,
    place: OwnedSemaphorePermit,
}

/// How the passing on of git's output ended.
enum Delivered {
    ToTheEnd,
    ReadFailed(io::Error),
    BodyBroken(BodyError),
    ClientGone,
}

impl Running {
    async fn deliver(
        mut self,
        rest: BytesMut,
        sender: mpsc::Sender<Result<Bytes, Aborted>>,
        resource: Resource,
    ) {
        let relayed = relay(
            rest,
            &mut self.stdout,
            &mut self.feeding,
            &mut self.push,
            &sender,
            self.place.semaphore(),
        )
        .await;
        match relayed {
            Delivered::ToTheEnd => self.end(sender).await,
            Delivered::ClientGone => self.abandon(resource).await,
            Delivered::BodyBroken(why) => {
                log::debug!("{resource:?}: the request broke off: {why}");
                let _ = sender.try_send(Err(Aborted));
                self.hang_up().await;
            }
            Delivered::ReadFailed(why) => {
                log::warn!("{resource:?}: read git's answer: {why}");
                let _ = sender.try_send(Err(Aborted));
                self.backend.stop().await;
            }
        }
    }

    /// A killed backend's output is not whole, whatever it looks like; one that ended with an
    /// error of its own has told the client about it in git's protocol.
    async fn end(self, sender: mpsc::Sender<Result<Bytes, Aborted>>) {
        match self.backend.finish().await {
            Ok(status) if status.code().is_some() => {
                log::debug!("git ended with {status}");
                if let Some(push) = self.push {
                    let rest = push.end().await;
                    let _ = timeout(UNREAD, sender.send(Ok(rest))).await;
                }
            }
            Ok(status) => {
                log::warn!("git ended with {status}");
                let _ = timeout(UNREAD, sender.send(Err(Aborted))).await;
            }
            Err(why) => log::warn!("wait for git: {why}"),
        }
        drop(self.place);
        drop(sender);
        self.feeding.linger().await;
    }

    /// The client is gone.
    async fn abandon(self, resource: Resource) {
        if resource == Resource::ReceivePack && self.feeding.is_whole() {
            self.finish_push().await;
        } else {
            self.hang_up().await;
        }
    }

    /// Closes git's input. A push cut short lets it remove the objects it had stored already, which
    /// it does not do on a signal; whatever goes on after a moment is ended by one, as a fetch is at
    /// once.
    async fn hang_up(mut self) {
        drop(self.feeding);
        if self.push.is_some() {
            let _ = timeout(HANG_UP, ignore(&mut self.stdout)).await;
        }
        self.backend.stop().await;
    }

    /// A push that git has received whole is finished without its client: stopping git between
    /// the update of a branch and the hook would lose the backup of the branch's old tip.
    async fn finish_push(mut self) {
        log::info!("a client left during its push, which is finished without it");
        ignore(&mut self.stdout).await;
        if let Err(why) = self.backend.finish().await {
            log::warn!("wait for git: {why}");
        }
    }
}

/// Reads to the end: git must not die of a closed pipe before it has cleaned up.
async fn ignore(stdout: &mut ChildStdout) {
    let mut ignored = BytesMut::with_capacity(CHUNK);
    while let Ok(Ok(1..)) = timeout(SILENT, stdout.read_buf(&mut ignored)).await {
        ignored.clear();
    }
}

/// Passes git's output on as it comes, one chunk in flight.
async fn relay(
    mut chunk: BytesMut,
    stdout: &mut ChildStdout,
    feeding: &mut Feeding,
    push: &mut Option<Underway>,
    sender: &mpsc::Sender<Result<Bytes, Aborted>>,
    places: &Semaphore,
) -> Delivered {
    let mut transfer = Transfer::default();
    loop {
        let mut passing = chunk.split().freeze();
        if let Some(push) = push {
            passing = push.pass(passing);
        }
        transfer.passed(passing.len());
        if !passing.is_empty() {
            let passed = timeout(UNREAD, sender.send(Ok(passing))).await;
            if !matches!(passed, Ok(Ok(()))) {
                return Delivered::ClientGone;
            }
        }
        let running = MAX_BACKENDS - places.available_permits();
        chunk.reserve((CHUNKS / running.max(1)).clamp(CHUNK, LARGE_CHUNK));
        tokio::select! {
            read = timeout(SILENT, stdout.read_buf(&mut chunk)) => match read {
                Ok(Ok(0)) => return Delivered::ToTheEnd,
                Ok(Ok(_)) => {}
                Ok(Err(why)) => return Delivered::ReadFailed(why),
                // A client that is slow to send has a bound of its own.
                Err(_) if !feeding.is_whole() => {}
                Err(why) => return Delivered::ReadFailed(why.into()),
            },
            why = feeding.broken() => return Delivered::BodyBroken(why),
            () = sender.closed() => return Delivered::ClientGone,
        }
    }
}

/// The head of git's answer, and what came with it of the body.
async fn read_head(stdout: &mut ChildStdout) -> Result<(Head, BytesMut), ExchangeError> {
    let mut bytes = BytesMut::with_capacity(CHUNK);
    loop {
        if stdout.read_buf(&mut bytes).await.map_err(ExchangeError::Read)? == 0 {
            return Err(ExchangeError::NoAnswer);
        }
        if let Some(end) = cgi::head_end(&bytes) {
            let head = bytes.split_to(end);
            return Ok((cgi::parse_head(&head).map_err(ExchangeError::Head)?, bytes));
        }
        if bytes.len() > MAX_HEAD {
            return Err(ExchangeError::HeadTooLong);
        }
    }
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
        }
    }
}

impl std::error::Error for ExchangeError {}

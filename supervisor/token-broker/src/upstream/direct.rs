//! Connections to one upstream over plain HTTP/1.1, each driven by the exchange that uses it.
//!
//! The shared client keeps a task per connection, and every request wakes it and is woken by it
//! several times. Here the connection is polled by whoever waits for the response, and by the
//! response's body afterwards; between two requests nobody polls it, so whether it still lives is
//! found out when it is taken up again.

use std::cell::RefCell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{Builder, Connection, SendRequest};
use hyper::header::{HOST, HeaderValue};
use hyper::http::uri::{Authority, Scheme};
use hyper::{Request, Response, Uri};
use tokio::time::sleep;
use tower_service::Service;

use super::dial::Dial;
use super::stream::Stream;
use super::{BUFFER, IDLE, IDLE_CONNECTIONS};
use crate::forward::{Failed, IDLE_LIMIT, Timer};
use crate::upload::Upload;

/// Connections kept when a burst is over.
const AT_REST: usize = 4;

/// One upstream, and the connections to it that wait for a request.
pub(crate) struct Direct {
    dial: Dial,
    url: Uri,
    host: HeaderValue,
    /// The one used last comes last.
    idle: RefCell<Vec<Idle>>,
    /// Of requests that have their answers.
    timers: RefCell<Vec<Timer>>,
}

struct Idle {
    line: Box<Line>,
    since: Instant,
}

/// A connection and the way to give it a request. Large, so it stays where it is.
struct Line {
    sender: SendRequest<Upload>,
    connection: Connection<Stream, Upload>,
    /// It has carried a response.
    answered: bool,
    /// The connection has ended: polling it again would be a mistake.
    over: bool,
}

/// A response's body on its way down, with the connection it comes on.
pub(crate) struct Download {
    body: Incoming,
    /// `None` when the connection has a task of its own.
    line: Option<(Rc<Direct>, Box<Line>)>,
}

impl Direct {
    /// `None` for an authority that no header can carry.
    pub(crate) fn new(dial: Dial, authority: &Authority) -> Option<Self> {
        let url = Uri::builder()
            .scheme(Scheme::HTTP)
            .authority(authority.clone())
            .path_and_query("/")
            .build()
            .ok()?;
        let host = HeaderValue::from_str(authority.as_str()).ok()?;
        Some(Self { dial, url, host, idle: RefCell::default(), timers: RefCell::default() })
    }

    /// The upstream's response, its body still to come.
    pub(crate) async fn send(
        self: &Rc<Self>,
        request: Request<Upload>,
    ) -> Result<Response<Download>, Failed> {
        let mut request = self.addressed(request);
        loop {
            let mut line = match self.take_idle().await {
                Some(line) => line,
                None => Box::pin(self.open()).await?,
            };
            match line.exchange(request).await {
                Ok(response) => {
                    line.answered = true;
                    let with_line = |body| Download { body, line: Some((Rc::clone(self), line)) };
                    return Ok(response.map(with_line));
                }
                // It never left: the connection had ended while nobody looked.
                Err((_, Some(unsent))) if line.answered => request = unsent,
                Err((why, _)) => return Err(Failed::of_http(&why, line.answered)),
            }
        }
    }

    /// Closes all but a few, and what has waited for too long: each holds a buffer.
    pub(crate) fn sweep(&self) {
        let mut idle = self.idle.borrow_mut();
        let surplus = idle.len().saturating_sub(AT_REST);
        idle.drain(..surplus);
        idle.retain(|idle| idle.since.elapsed() < IDLE);
        self.timers.borrow_mut().clear();
    }

    /// One that may go off early.
    pub(crate) fn timer(&self) -> Timer {
        let used = self.timers.borrow_mut().pop();
        used.unwrap_or_else(|| Box::pin(sleep(IDLE_LIMIT)))
    }

    pub(crate) fn keep_timer(&self, timer: Timer) {
        let mut timers = self.timers.borrow_mut();
        if timers.len() < IDLE_CONNECTIONS {
            timers.push(timer);
        }
    }

    /// In origin-form, with the upstream's own name (RFC 9112 sections 3.2.1 and 3.2).
    fn addressed(&self, mut request: Request<Upload>) -> Request<Upload> {
        if let Some(path_and_query) = request.uri().path_and_query() {
            *request.uri_mut() = Uri::from(path_and_query.clone());
        }
        request.headers_mut().insert(HOST, self.host.clone());
        request
    }

    async fn take_idle(&self) -> Option<Box<Line>> {
        loop {
            let Idle { mut line, since } = self.idle.borrow_mut().pop()?;
            if since.elapsed() < IDLE && line.lives().await {
                return Some(line);
            }
        }
    }

    async fn open(&self) -> Result<Box<Line>, Failed> {
        let mut dial = self.dial.clone();
        let dialled = async {
            poll_fn(|cx| dial.poll_ready(cx)).await?;
            dial.call(self.url.clone()).await
        };
        let stream = dialled.await.map_err(|why| Failed::of_dial(&why))?;
        let opened = Builder::new().max_buf_size(BUFFER).handshake(stream).await;
        let (sender, connection) = opened.map_err(|why| Failed::of_http(&why, false))?;
        Ok(Box::new(Line { sender, connection, answered: false, over: false }))
    }

    fn keep(&self, line: Box<Line>) {
        let mut idle = self.idle.borrow_mut();
        if !line.over && idle.len() < IDLE_CONNECTIONS {
            idle.push(Idle { line, since: Instant::now() });
        }
    }
}

/// Why a request got no response, and the request itself if none of it was sent.
type Unanswered = (hyper::Error, Option<Request<Upload>>);

impl Line {
    async fn exchange(
        &mut self,
        request: Request<Upload>,
    ) -> Result<Response<Incoming>, Unanswered> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let answered = poll_fn(|cx| {
            drive(&mut self.connection, &mut self.over, cx);
            answer.as_mut().poll(cx)
        });
        answered.await.map_err(|mut why| {
            let unsent = why.take_message();
            (why.into_error(), unsent)
        })
    }

    /// Whether it can take another request now.
    async fn lives(&mut self) -> bool {
        poll_fn(|cx| {
            drive(&mut self.connection, &mut self.over, cx);
            let ready = matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())));
            Poll::Ready(ready && !self.over)
        })
        .await
    }
}

/// Lets a connection read and write what it can.
fn drive(connection: &mut Connection<Stream, Upload>, over: &mut bool, cx: &mut Context<'_>) {
    if !*over {
        // How it ended is told to whoever waits for the response or its body.
        *over = Pin::new(connection).poll(cx).is_ready();
    }
}

impl From<Incoming> for Download {
    fn from(body: Incoming) -> Self {
        Self { body, line: None }
    }
}

impl Download {
    fn release(&mut self) {
        if let Some((home, line)) = self.line.take() {
            home.keep(line);
        }
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let mut polled = Pin::new(&mut this.body).poll_frame(cx);
        if let (Poll::Pending, Some((_, line))) = (&polled, &mut this.line) {
            drive(&mut line.connection, &mut line.over, cx);
            polled = Pin::new(&mut this.body).poll_frame(cx);
        }
        if matches!(polled, Poll::Ready(None)) {
            this.release();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Download {
    /// A body of known length is dropped rather than asked for its end.
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.release();
        }
    }
}

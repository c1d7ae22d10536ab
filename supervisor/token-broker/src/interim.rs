//! Interim responses (1xx, RFC 9110 section 15.2) on their way to a client: `103 Early Hints`,
//! `102 Processing` and whatever else an upstream says before its answer.
//!
//! The HTTP library tells of those that come from an HTTP/1 upstream, but its server side has no
//! way to send them. They are written between two of its messages: into the stream below it, when
//! it has nothing more to write of the response before and has not begun the one to come. `100`
//! and `101` stay with those who asked for them.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};

use hyper::ext::on_informational;
use hyper::header::CONTENT_LENGTH;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::{HeaderMap, Request, StatusCode};

use crate::inject::remove_hop_by_hop;
use crate::upstream::BUFFER;

/// The interim responses of one client's connection.
#[derive(Clone, Default)]
pub(crate) struct Interim(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What is left of them to write.
    waiting: Vec<u8>,
    /// A request is without its answer.
    open: bool,
    /// The server side has bytes of an earlier response left.
    behind: bool,
    client: Option<Waker>,
}

impl Interim {
    /// Around the stream that the server side writes to.
    pub(crate) fn around<S>(&self, inner: S) -> Interposed<S> {
        Interposed { inner, interim: self.clone() }
    }

    /// Passes on what comes in answer to this request, until it is `answered`.
    pub(crate) fn of<B>(&self, request: &mut Request<B>) {
        self.state().open = true;
        let interim = self.clone();
        on_informational(request, move |response| {
            interim.add(response.status(), response.headers());
        });
    }

    /// The answer itself is next.
    pub(crate) fn answered(&self) {
        let mut state = self.state();
        state.open = false;
        // The answer will be written together with what is left of an earlier one.
        if state.behind {
            state.waiting.clear();
        }
    }

    fn add(&self, status: StatusCode, headers: &HeaderMap) {
        let mut state = self.state();
        let awaited = state.open && status.is_informational();
        let ours = [StatusCode::CONTINUE, StatusCode::SWITCHING_PROTOCOLS].contains(&status);
        if !awaited || ours {
            return;
        }
        let head = rendered(status, headers.clone());
        // A client that does not read them does without.
        if state.waiting.len() + head.len() <= BUFFER {
            state.waiting.extend(head);
            if let Some(client) = state.client.take() {
                client.wake();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// RFC 9112 sections 4 and 5.
fn rendered(status: StatusCode, mut headers: HeaderMap) -> Vec<u8> {
    remove_hop_by_hop(&mut headers);
    // Nobody may take what follows for a body (RFC 9110 section 8.6).
    headers.remove(CONTENT_LENGTH);
    let reason = status.canonical_reason().unwrap_or_default();
    let mut head = format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).into_bytes();
    for (name, value) in &headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// A client's stream with interim responses between the server side's messages.
pub(crate) struct Interposed<S> {
    inner: S,
    interim: Interim,
}

impl<S: Write + Unpin> Interposed<S> {
    /// Before the server side writes: what comes first.
    fn poll_before(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.interim.state();
        if !state.behind {
            ready!(state.poll_write(&mut self.inner, cx))?;
        }
        state.behind = true;
        Poll::Ready(Ok(()))
    }
}

impl State {
    fn poll_write<S: Write + Unpin>(
        &mut self,
        inner: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            let written = ready!(Pin::new(&mut *inner).poll_write(cx, &self.waiting))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.waiting.drain(..written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Write + Unpin> Write for Interposed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_before(cx))?;
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_before(cx))?;
        Pin::new(&mut self.inner).poll_write_vectored(cx, parts)
    }

    /// The server side flushes when it has written all it has, and whenever it is woken.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let mut state = this.interim.state();
        state.behind = false;
        if state.open && !state.client.as_ref().is_some_and(|client| client.will_wake(cx.waker())) {
            state.client = Some(cx.waker().clone());
        }
        ready!(state.poll_write(&mut this.inner, cx))?;
        drop(state);
        Pin::new(&mut this.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

impl<S: Read + Unpin> Read for Interposed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

//! Sends one request to its upstream and waits for the head of the response; the body of the
//! request flows meanwhile, as it comes.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::{Request, Response};
use tokio::time::{Instant, sleep};

use crate::upstream::{Client, Failure};

/// Longest silence of an upstream, before its response and within it.
pub(crate) const IDLE_LIMIT: Duration = Duration::from_secs(1200);

/// A failure and, for our own log, how it came about.
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    pub(crate) detail: String,
}

/// The upstream's response, its body still to come. Dropping the future ends the exchange on the
/// upstream's side, too.
pub(crate) async fn send(
    client: &Client,
    request: Request<Upload>,
) -> Result<Response<Incoming>, Failed> {
    let moved = request.body().moved.clone();
    let mut response = pin!(client.request(request));
    let mut silence = pin!(sleep(IDLE_LIMIT));
    let mut seen = 0;
    loop {
        tokio::select! {
            biased;
            answered = response.as_mut() => return answered.map_err(|why| Failed {
                failure: Failure::of(&why),
                detail: chain(&why),
            }),
            () = silence.as_mut() => {
                let now_seen = moved.as_ref().map_or(0, |moved| moved.load(Ordering::Relaxed));
                if now_seen == seen {
                    let detail = format!("silent for {} s", IDLE_LIMIT.as_secs());
                    return Err(Failed { failure: Failure::Timeout, detail });
                }
                // A long upload is not silence.
                seen = now_seen;
                silence.as_mut().reset(Instant::now() + IDLE_LIMIT);
            }
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// A request's body on its way up, counting its pieces.
pub(crate) struct Upload {
    /// `None` when there is nothing to send.
    body: Option<Incoming>,
    moved: Option<Arc<AtomicU64>>,
}

impl Upload {
    pub(crate) const NOTHING: Self = Self { body: None, moved: None };

    pub(crate) fn of(body: Incoming) -> Self {
        if body.is_end_stream() {
            return Self::NOTHING;
        }
        Self { body: Some(body), moved: Some(Arc::default()) }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        if let (Poll::Ready(Some(Ok(_))), Some(moved)) = (&frame, &self.moved) {
            moved.fetch_add(1, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

//! A response on its way back: unchanged but for headers of the connection, undecoded, piece by
//! piece as it comes. When its body has ended, its audit line is written.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::{Response, Version};
use tokio::time::{Instant, Sleep, sleep};

use crate::answer::Answer;
use crate::audit::Entry;
use crate::forward::IDLE_LIMIT;
use crate::inject::remove_hop_by_hop;
use crate::limit::Meter;
use crate::upstream::Download;

/// The client's response to an upstream's.
pub(crate) fn response(upstream: Response<Download>, mut entry: Entry) -> Response<Answer> {
    let (mut head, body) = upstream.into_parts();
    remove_hop_by_hop(&mut head.headers);
    head.version = Version::HTTP_11;
    let status = head.status.as_u16();
    entry.answered(status);
    let meter = entry.meter();
    let relay = Relay {
        body,
        silence: None,
        progressed: false,
        entry: Some(entry),
        meter,
        broken: None,
        status,
    };
    Response::from_parts(head, Answer::Relayed(relay))
}

pub(crate) struct Relay {
    body: Download,
    /// Armed at the first wait: most small bodies never wait.
    silence: Option<Pin<Box<Sleep>>>,
    /// Something came since the limit was armed.
    progressed: bool,
    entry: Option<Entry>,
    meter: Option<Meter>,
    /// How the body broke off, not said yet.
    broken: Option<hyper::Error>,
    status: u16,
}

/// Why a body ended early; the client sees its connection close.
#[derive(Debug)]
pub(crate) enum Cut {
    Upstream(hyper::Error),
    Silent,
}

impl Relay {
    fn end(&mut self, outcome: &'static str) {
        if let Some(entry) = self.entry.take() {
            entry.end(self.status, outcome);
        }
    }

    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let silence = self.silence.get_or_insert_with(|| Box::pin(sleep(IDLE_LIMIT)));
        if std::mem::take(&mut self.progressed) {
            silence.as_mut().reset(Instant::now() + IDLE_LIMIT);
        }
        silence.as_mut().poll(cx)
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(why) = self.broken.take() {
            return Poll::Ready(Some(Err(Cut::Upstream(why))));
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                self.progressed = true;
                if let (Some(meter), Some(data)) = (&self.meter, frame.data_ref()) {
                    meter.add(data.len());
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(why))) => {
                self.end("upstream_disconnected");
                // An error ends the client's connection at once: what came before goes out first.
                self.broken = Some(why);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(None) => {
                self.end("ok");
                Poll::Ready(None)
            }
            Poll::Pending => match self.poll_silence(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(()) => {
                    self.end("upstream_error:timeout");
                    Poll::Ready(Some(Err(Cut::Silent)))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Relay {
    /// A body of known length is dropped rather than asked for its end.
    fn drop(&mut self) {
        if self.body.is_end_stream() {
            self.end("ok");
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(why) => write!(f, "upstream's body: {why}"),
            Self::Silent => write!(f, "upstream's body: silent for {} s", IDLE_LIMIT.as_secs()),
        }
    }
}

impl std::error::Error for Cut {}

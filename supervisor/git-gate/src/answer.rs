//! What clients get: fixed answers of our own, each a status and a phrase, or git's answer as it
//! comes. The one place where a refusal becomes HTTP.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Response, StatusCode};
use tokio::sync::mpsc;

use crate::cgi::Head;
use crate::route::RouteError;

/// Chunks of a backend's output on their way to a client, or the news that there is no proper end.
pub(crate) type Output = mpsc::Receiver<Result<Bytes, Aborted>>;

/// The backend did not finish. hyper then closes without the last chunk, which tells the client
/// that the body is not whole (RFC 9112 § 8).
#[derive(Debug)]
pub(crate) struct Aborted;

#[derive(Debug)]
pub(crate) enum Answer {
    Phrase(Option<Bytes>),
    Stream(Output),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Unauthenticated,
    Forbidden,
    NotFound,
    Method {
        allow: &'static str,
    },
    /// A request body coded in a way git cannot undo.
    Coding,
    /// The client never sent the body it promised.
    Timeout,
    /// git gave no answer; the log says why.
    Backend,
    /// The gate is about to be started again.
    Restarting,
}

impl From<RouteError> for Refusal {
    fn from(why: RouteError) -> Self {
        match why {
            RouteError::NoSuchPath => Self::NotFound,
            RouteError::MethodRefused { allow } => Self::Method { allow },
        }
    }
}

pub(crate) fn refuse(refusal: Refusal) -> Response<Answer> {
    let (status, phrase) = match refusal {
        Refusal::Unauthenticated => (StatusCode::UNAUTHORIZED, "Authentication required\n"),
        Refusal::Forbidden => (StatusCode::FORBIDDEN, "Forbidden\n"),
        Refusal::NotFound => (StatusCode::NOT_FOUND, "Not found\n"),
        Refusal::Method { .. } => (StatusCode::METHOD_NOT_ALLOWED, "Method not allowed\n"),
        Refusal::Coding => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported content coding\n"),
        Refusal::Timeout => (StatusCode::REQUEST_TIMEOUT, "Request body expected\n"),
        Refusal::Backend => (StatusCode::BAD_GATEWAY, "git gave no answer\n"),
        Refusal::Restarting => (StatusCode::SERVICE_UNAVAILABLE, "Starting again\n"),
    };
    let mut response = Response::new(Answer::Phrase(Some(Bytes::from_static(phrase.as_bytes()))));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    match refusal {
        Refusal::Unauthenticated => {
            let challenge = HeaderValue::from_static("Basic realm=\"terok gate\"");
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        Refusal::Method { allow } => {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        Refusal::Restarting => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        _ => {}
    }
    response
}

/// git's answer: its head, then its output as it comes.
pub(crate) fn pass(head: Head, output: Output) -> Response<Answer> {
    let mut response = Response::new(Answer::Stream(output));
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        match self.get_mut() {
            Self::Phrase(phrase) => Poll::Ready(phrase.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(output) => {
                output.poll_recv(cx).map(|chunk| chunk.map(|bytes| bytes.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Phrase(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Phrase(phrase) => {
                SizeHint::with_exact(phrase.as_ref().map_or(0, Bytes::len) as u64)
            }
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

impl std::fmt::Display for Aborted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("git ended before its answer did")
    }
}

impl std::error::Error for Aborted {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_401_asks_for_basic_credentials() {
        let response = refuse(Refusal::Unauthenticated);
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers()[WWW_AUTHENTICATE], "Basic realm=\"terok gate\"");
    }

    #[test]
    fn a_405_names_the_methods() {
        let response = refuse(RouteError::MethodRefused { allow: "POST" }.into());
        assert_eq!(
            (response.status().as_u16(), &response.headers()[ALLOW]),
            (405, &HeaderValue::from_static("POST"))
        );
    }
}

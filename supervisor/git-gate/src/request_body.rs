//! A request's body on its way to a backend's standard input, chunk by chunk, as fast as the
//! slower of the two.

use std::cell::Cell;
use std::fmt;
use std::future::{pending, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::moderation::Transfer;

/// How long a client may send nothing in the middle of a body.
pub(crate) const BODY_IDLE: Duration = Duration::from_secs(300);
/// How long what git did not read is read and thrown away, so that the client gets to see git's
/// answer instead of a reset connection (RFC 9112 § 9.6).
const LINGER: Duration = Duration::from_secs(5);
/// What is gathered for one write: as much as a connection's buffer holds.
const GATHERED: usize = 256 * 1024;
/// Pieces of one write; clients of HTTP/1.1 send chunks of a few kilobytes.
const PIECES: usize = 64;

#[derive(Debug)]
pub(crate) enum BodyError {
    Idle,
    Broken(hyper::Error),
}

/// The next bytes; `None` at the proper end.
pub(crate) async fn next(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    loop {
        let frame = timeout(BODY_IDLE, body.frame()).await.map_err(|_| BodyError::Idle)?;
        match frame {
            None => return Ok(None),
            Some(Err(why)) => return Err(BodyError::Broken(why)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(Some(bytes)),
                Err(_trailers) => {}
            },
        }
    }
}

/// The copying, as a task of its own: git answers while it still reads.
#[derive(Debug, Default)]
pub(crate) struct Feeding {
    task: JoinSet<Result<(), BodyError>>,
    /// `None` for a request without a body.
    whole: Option<Rc<Cell<bool>>>,
}

impl Feeding {
    /// Starts to copy `first` and all that follows. A body that is cut short reaches git as an early
    /// end of file, as a lost connection of any other transport does: commands end with a flush
    /// packet and packs with a checksum (gitprotocol-pack(5)), so git takes neither for whole, and
    /// removes what it had stored of it.
    ///
    /// `received` counts the bytes that came in.
    pub(crate) fn start(
        first: Option<Bytes>,
        body: Incoming,
        stdin: ChildStdin,
        received: Rc<Cell<u64>>,
    ) -> Self {
        let (mut task, whole) = (JoinSet::new(), Rc::new(Cell::new(false)));
        let told = Rc::clone(&whole);
        task.spawn_local(async move {
            feed(first, body, stdin, received).await?;
            told.set(true);
            Ok(())
        });
        Self { task, whole: Some(whole) }
    }

    /// Whether the body, if there is one, has been handed over to its end.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole.as_ref().is_none_or(|whole| whole.get())
    }

    /// Completes when the client breaks off in the middle, and never otherwise. Can be dropped and
    /// asked again.
    pub(crate) async fn broken(&mut self) -> BodyError {
        match self.task.join_next().await {
            Some(Ok(Err(why))) => why,
            // No body, or one that is over; a panicking copy shows as git's complaint about it.
            Some(Ok(Ok(())) | Err(_)) | None => pending().await,
        }
    }

    /// Gives the client a moment to finish sending what nobody reads any more.
    pub(crate) async fn linger(mut self) {
        let _ = timeout(LINGER, self.task.join_next()).await;
    }
}

async fn feed(
    first: Option<Bytes>,
    mut body: Incoming,
    mut stdin: ChildStdin,
    received: Rc<Cell<u64>>,
) -> Result<(), BodyError> {
    let mut transfer = Transfer::default();
    let mut pieces = Vec::with_capacity(PIECES);
    let mut chunk = first;
    while let Some(bytes) = chunk {
        pieces.clear();
        pieces.push(bytes);
        let is_over = gather(&mut body, &mut pieces).await?;
        let length: usize = pieces.iter().map(Bytes::len).sum();
        transfer.passed(length);
        received.set(received.get() + length as u64);
        if write_all(&mut stdin, &pieces).await.is_err() {
            // git has closed its input: its answer is ready, or it is dead and the reader of its
            // output finds out.
            drop(stdin);
            return if is_over { Ok(()) } else { discard(&mut body).await };
        }
        chunk = if is_over { None } else { next(&mut body).await? };
    }
    Ok(())
}

/// Adds what has arrived already, without waiting for more: one write for many chunks. Whether the
/// body has come to its proper end.
async fn gather(body: &mut Incoming, pieces: &mut Vec<Bytes>) -> Result<bool, BodyError> {
    let mut length = pieces.iter().map(Bytes::len).sum::<usize>();
    while length < GATHERED && pieces.len() < PIECES {
        match arrived(body).await {
            None => return Ok(false),
            Some(None) => return Ok(true),
            Some(Some(frame)) => {
                if let Ok(bytes) = frame.map_err(BodyError::Broken)?.into_data() {
                    length += bytes.len();
                    pieces.push(bytes);
                }
            }
        }
    }
    Ok(false)
}

/// The next frame, if there is one after the connection had a turn: hyper hands over one by one.
async fn arrived(body: &mut Incoming) -> Option<Option<Result<Frame<Bytes>, hyper::Error>>> {
    let mut had_a_turn = false;
    poll_fn(|cx| match Pin::new(&mut *body).poll_frame(cx) {
        Poll::Ready(frame) => Poll::Ready(Some(frame)),
        Poll::Pending if had_a_turn => Poll::Ready(None),
        Poll::Pending => {
            had_a_turn = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

async fn write_all(stdin: &mut ChildStdin, pieces: &[Bytes]) -> io::Result<()> {
    let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut rest = slices.as_mut_slice();
    IoSlice::advance_slices(&mut rest, 0);
    while !rest.is_empty() {
        match stdin.write_vectored(rest).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => IoSlice::advance_slices(&mut rest, written),
        }
    }
    Ok(())
}

/// Reads a body that nobody wants to its end.
pub(crate) async fn discard(body: &mut Incoming) -> Result<(), BodyError> {
    while next(body).await?.is_some() {}
    Ok(())
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle => write!(f, "nothing received for {} s", BODY_IDLE.as_secs()),
            Self::Broken(why) => write!(f, "{why}"),
        }
    }
}

impl std::error::Error for BodyError {}

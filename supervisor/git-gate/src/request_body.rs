//! A request's body on its way to a backend's standard input, chunk by chunk, as fast as the
//! slower of the two.

use std::cell::Cell;
use std::fmt;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// How long a client may send nothing in the middle of a body.
pub(crate) const BODY_IDLE: Duration = Duration::from_secs(300);
/// How long what git did not read is read and thrown away, so that the client gets to see git's
/// answer instead of a reset connection (RFC 9112 § 9.6).
const LINGER: Duration = Duration::from_secs(5);

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
    whole: bool,
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
        let mut task = JoinSet::new();
        task.spawn_local(feed(first, body, stdin, received));
        Self { task, whole: false }
    }

    /// Whether the body has been handed over to its end.
    pub(crate) fn is_whole(&mut self) -> bool {
        self.whole |= matches!(self.task.try_join_next(), Some(Ok(Ok(()))));
        self.whole
    }

    /// Completes when the client breaks off in the middle, and never otherwise. Can be dropped and
    /// asked again.
    pub(crate) async fn broken(&mut self) -> BodyError {
        match self.task.join_next().await {
            Some(Ok(Err(why))) => return why,
            Some(Ok(Ok(()))) => self.whole = true,
            // No body, or one that is over; a panicking copy shows as git's complaint about it.
            Some(Err(_)) | None => {}
        }
        pending().await
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
    let mut chunk = first;
    while let Some(bytes) = chunk {
        received.set(received.get() + bytes.len() as u64);
        if stdin.write_all(&bytes).await.is_err() {
            // git has closed its input: its answer is ready, or it is dead and the reader of its
            // output finds out.
            drop(stdin);
            return discard(&mut body).await;
        }
        chunk = next(&mut body).await?;
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

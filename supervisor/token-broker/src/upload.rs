//! A request's body on its way up, piece by piece as it comes.
//!
//! A copy of a small one can be kept in case the request has to be sent once more. Pieces are
//! shared, not copied; what all copies hold together is bounded, and one that grows beyond the
//! bound is let go.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::limit::Meter;

/// Longest body kept.
const MAX_KEPT: usize = 1024 * 1024;
/// Most bytes kept at a time, by all requests together.
const MAX_KEPT_BY_ALL: usize = 8 * 1024 * 1024;

static KEPT_BY_ALL: AtomicUsize = AtomicUsize::new(0);

pub(crate) struct Upload {
    source: Source,
    /// Counts the pieces; `None` when there is nothing to send.
    moved: Option<Arc<AtomicU64>>,
    copy: Option<BodyCopy>,
    meter: Option<Meter>,
}

enum Source {
    Nothing,
    Flowing(Incoming),
    /// From a copy.
    Kept(VecDeque<Bytes>),
}

/// What has gone up so far, as long as it is small.
#[derive(Clone)]
pub(crate) struct BodyCopy(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    state: State,
}

#[derive(Default, PartialEq, Eq)]
enum State {
    #[default]
    Growing,
    Complete,
    /// It grew too large, or had trailers.
    LetGo,
}

impl Upload {
    pub(crate) const NOTHING: Self =
        Self { source: Source::Nothing, moved: None, copy: None, meter: None };

    pub(crate) fn of(body: Incoming, meter: Option<Meter>) -> Self {
        if body.is_end_stream() {
            return Self::NOTHING;
        }
        Self { source: Source::Flowing(body), moved: Some(Arc::default()), copy: None, meter }
    }

    /// A body of our own.
    pub(crate) fn fixed(body: Bytes) -> Self {
        Self { source: Source::Kept([body].into()), ..Self::NOTHING }
    }

    /// Keeps a copy from now on; `None` when there is no body to keep.
    pub(crate) fn keep(&mut self) -> Option<BodyCopy> {
        if matches!(self.source, Source::Nothing) {
            return None;
        }
        let copy = BodyCopy(Arc::default());
        self.copy = Some(copy.clone());
        Some(copy)
    }

    /// Grows while pieces move.
    pub(crate) fn progress(&self) -> Option<Arc<AtomicU64>> {
        self.moved.clone()
    }
}

impl BodyCopy {
    /// The whole body once more, unless a part of it is missing.
    pub(crate) fn again(&self) -> Option<Upload> {
        let kept = self.kept();
        (kept.state == State::Complete).then(|| Upload {
            source: Source::Kept(kept.pieces.clone()),
            moved: Some(Arc::default()),
            copy: None,
            meter: None,
        })
    }

    fn add(&self, piece: &Frame<Bytes>) {
        let mut kept = self.kept();
        if kept.state != State::Growing {
            return;
        }
        match piece.data_ref() {
            Some(data) if kept.reserve(data.len()) => kept.pieces.push_back(data.clone()),
            _ => kept.let_go(),
        }
    }

    fn complete(&self) {
        let mut kept = self.kept();
        if kept.state == State::Growing {
            kept.state = State::Complete;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Kept {
    fn reserve(&mut self, more: usize) -> bool {
        let before = KEPT_BY_ALL.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
        self.bytes <= MAX_KEPT && before + more <= MAX_KEPT_BY_ALL
    }

    fn let_go(&mut self) {
        KEPT_BY_ALL.fetch_sub(std::mem::take(&mut self.bytes), Ordering::Relaxed);
        self.pieces = VecDeque::new();
        self.state = State::LetGo;
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        KEPT_BY_ALL.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let polled = match &mut this.source {
            Source::Nothing => return Poll::Ready(None),
            Source::Kept(pieces) => {
                return Poll::Ready(pieces.pop_front().map(|piece| Ok(Frame::data(piece))));
            }
            Source::Flowing(body) => {
                let polled = Pin::new(&mut *body).poll_frame(cx);
                // A body of known length is not asked for its end.
                let ended = matches!(polled, Poll::Ready(None)) || body.is_end_stream();
                if let (Some(copy), true) = (&this.copy, ended && is_sound(&polled)) {
                    if let Poll::Ready(Some(Ok(piece))) = &polled {
                        copy.add(piece);
                    }
                    copy.complete();
                    this.copy = None;
                }
                polled
            }
        };
        if let Poll::Ready(Some(Ok(piece))) = &polled {
            if let Some(moved) = &this.moved {
                moved.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(copy) = &this.copy {
                copy.add(piece);
            }
            if let (Some(meter), Some(data)) = (&this.meter, piece.data_ref()) {
                meter.add(data.len());
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Nothing => true,
            Source::Kept(pieces) => pieces.is_empty(),
            Source::Flowing(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Nothing => SizeHint::with_exact(0),
            Source::Kept(pieces) => {
                SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum())
            }
            Source::Flowing(body) => body.size_hint(),
        }
    }
}

fn is_sound(polled: &Poll<Option<Result<Frame<Bytes>, hyper::Error>>>) -> bool {
    matches!(polled, Poll::Ready(None | Some(Ok(_))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(pieces: &[&'static [u8]]) -> BodyCopy {
        let copy = BodyCopy(Arc::default());
        for piece in pieces {
            copy.add(&Frame::data(Bytes::from_static(piece)));
        }
        copy
    }

    #[test]
    fn a_body_is_kept_once_it_is_complete() {
        let copy = copy(&[b"ab", b"c"]);
        assert!(copy.again().is_none());
        copy.complete();
        let again = copy.again().unwrap();
        assert_eq!(again.size_hint().exact(), Some(3));
    }

    #[test]
    fn a_large_body_and_trailers_are_let_go() {
        let large = copy(&[&[0; MAX_KEPT], b"x"]);
        large.complete();
        assert!(large.again().is_none());
        let trailed = copy(&[b"x"]);
        trailed.add(&Frame::trailers(hyper::HeaderMap::new()));
        trailed.complete();
        assert!(trailed.again().is_none());
    }
}

//! The clients connected, and who has to go when there are many.
//!
//! A connection between two requests, or one that never finishes its first, costs its client
//! nothing to reopen. It has half a minute for its next request's head; and when too many are
//! connected, the one that has waited longest leaves, so that idle and deliberately slow connections
//! never keep a new client out.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::sleep;

/// Connections kept without need.
const ROOM: usize = 512;

/// Longest wait for a request's head, from the connection's or the last response's end.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// How often the waiting ones are looked at. One look at all of them costs less than a timer for
/// each request.
const LOOK: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(crate) struct Seats {
    taken: RefCell<HashMap<u64, Rc<Place>>>,
    next: Cell<u64>,
    /// Somebody sat down in the empty room.
    entered: Notify,
}

struct Place {
    /// When it last had something to do.
    since: Cell<Instant>,
    /// Responses, and tunnels, under way.
    busy: Cell<usize>,
    told: Cell<Option<Told>>,
    /// Of who waits to be told.
    client: RefCell<Option<Waker>>,
}

/// What a client may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// To end what it has begun, and to begin nothing more.
    Finish,
    /// Its place is needed.
    Leave,
}

/// One client's place, free again when dropped.
pub(crate) struct Seat {
    place: Rc<Place>,
    number: u64,
    seats: Rc<Seats>,
}

/// Keeps a client in its seat.
pub(crate) struct Busy(Rc<Place>);

impl Seats {
    /// Seats a client; when it gets crowded, the one that has waited longest is asked to leave.
    pub(crate) fn take(self: &Rc<Self>) -> Seat {
        let mut taken = self.taken.borrow_mut();
        if taken.len() >= ROOM {
            let waiting = taken.values().filter(|place| place.busy.get() == 0);
            if let Some(longest) = waiting.min_by_key(|place| place.since.get()) {
                longest.leave();
            }
        }
        let number = self.next.get();
        self.next.set(number + 1);
        let place = Rc::new(Place {
            since: Cell::new(Instant::now()),
            busy: Cell::new(0),
            told: Cell::new(None),
            client: RefCell::default(),
        });
        if taken.is_empty() {
            self.entered.notify_one();
        }
        taken.insert(number, Rc::clone(&place));
        Seat { place, number, seats: Rc::clone(self) }
    }
}

impl Seats {
    /// Tells all clients to finish.
    pub(crate) fn finish(&self) {
        self.taken.borrow().values().for_each(|place| place.tell(Told::Finish));
    }

    /// Asks those to leave whose request does not come, for as long as the service runs.
    pub(crate) async fn clear(&self) -> Infallible {
        loop {
            if self.taken.borrow().is_empty() {
                self.entered.notified().await;
            }
            sleep(LOOK).await;
            self.ask_the_late(Instant::now());
        }
    }

    fn ask_the_late(&self, now: Instant) {
        let late = |place: &&Rc<Place>| {
            let waits = now.saturating_duration_since(place.since.get());
            place.busy.get() == 0 && waits >= HEAD_LIMIT
        };
        self.taken.borrow().values().filter(late).for_each(|place| place.leave());
    }
}

impl Place {
    fn leave(&self) {
        // Not chosen again while it packs up.
        self.busy.set(usize::MAX / 2);
        self.tell(Told::Leave);
    }

    fn tell(&self, what: Told) {
        self.told.set(Some(what));
        if let Some(client) = self.client.take() {
            client.wake();
        }
    }
}

impl Seat {
    pub(crate) fn busy(&self) -> Busy {
        self.place.busy.set(self.place.busy.get() + 1);
        Busy(Rc::clone(&self.place))
    }

    /// What this client is told, once it is. Looked at whenever a request moves, so it costs no
    /// more than a look.
    pub(crate) async fn told(&self) -> Told {
        poll_fn(|cx| match self.place.told.get() {
            Some(told) => Poll::Ready(told),
            None => {
                let mut client = self.place.client.borrow_mut();
                if !client.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    *client = Some(cx.waker().clone());
                }
                Poll::Pending
            }
        })
        .await
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.taken.borrow_mut().remove(&self.number);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
        self.0.since.set(Instant::now());
    }
}

/// A response's body, whose client is busy as long as it lasts.
pub(crate) struct Seated<B> {
    body: B,
    _busy: Busy,
}

impl<B> Seated<B> {
    pub(crate) fn new(body: B, busy: Busy) -> Self {
        Self { body, _busy: busy }
    }
}

impl<B: Body + Unpin> Body for Seated<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(seat: &Seat) -> bool {
        seat.place.busy.get() > 1
    }

    #[test]
    fn the_one_that_waited_longest_leaves_when_it_is_crowded() {
        let seats = Rc::new(Seats::default());
        let mut seated: Vec<Seat> = (0..ROOM).map(|_| seats.take()).collect();
        let busy = seated[0].busy();
        drop(seated[1].busy());
        let newcomer = seats.take();
        assert!(asked(&seated[2]) && !asked(&seated[0]) && !asked(&seated[1]));
        drop(seated.remove(2));
        let another = seats.take();
        assert!(asked(&seated[2]));
        drop((busy, newcomer, another, seated));
        assert!(seats.taken.borrow().is_empty());
    }

    #[test]
    fn a_request_that_does_not_come_in_time_costs_its_client_the_place() {
        let seats = Rc::new(Seats::default());
        let (idle, working) = (seats.take(), seats.take());
        let busy = working.busy();
        seats.ask_the_late(Instant::now() + HEAD_LIMIT - LOOK);
        assert!(!asked(&idle));
        seats.ask_the_late(Instant::now() + HEAD_LIMIT);
        assert!(asked(&idle) && !asked(&working));
        drop(busy);
    }

    #[test]
    fn nobody_busy_is_asked_to_leave() {
        let seats = Rc::new(Seats::default());
        let seated: Vec<Seat> = (0..ROOM).map(|_| seats.take()).collect();
        let busy: Vec<Busy> = seated.iter().map(Seat::busy).collect();
        let _newcomer = seats.take();
        assert!(!seated.iter().any(asked));
        drop(busy);
    }
}

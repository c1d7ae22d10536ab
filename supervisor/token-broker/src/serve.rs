//! One client's connection: HTTP/1.1 (RFC 9112), request after request, within bounds.

use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use terok_service::clients::Connection;

use crate::exchange::Exchange;
use crate::forward::IDLE_LIMIT;
use crate::interim::Interim;
use crate::patient::Patient;
use crate::seats::{Seat, Seated, Told};
use crate::upstream::BUFFER;
use crate::websocket::Slot;

/// Serves until the client or the service ends, or another client needs the place more.
pub(crate) async fn client(exchange: Rc<Exchange>, seat: Seat, client: Connection) {
    let slot = Slot::default();
    let interim = Interim::default();
    let stream = Patient::new(interim.around(TokioIo::new(client)), IDLE_LIMIT);
    let seat = Rc::new(seat);
    let (left, place) = (Rc::clone(&slot), Rc::clone(&seat));
    let answer = service_fn(move |request| {
        let (exchange, slot, busy) = (Rc::clone(&exchange), Rc::clone(&left), place.busy());
        let interim = interim.clone();
        async move {
            let response = exchange.answer(request, &slot, &interim).await;
            interim.answered();
            Ok::<_, Infallible>(response.map(|body| Seated::new(body, busy)))
        }
    });
    let serving = http1::Builder::new()
        // `Seats` looks after those whose head does not come.
        .header_read_timeout(None)
        .max_buf_size(BUFFER)
        .max_header_size(BUFFER)
        // The upstream's own date, or none, is what its response says.
        .auto_date_header(false)
        .serve_connection(stream, answer)
        .with_upgrades();
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        biased;
        ended = serving.as_mut() => ended,
        told = seat.told() => match told {
            Told::Leave => return,
            Told::Finish => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        },
    };
    if let Err(why) = ended {
        log::debug!("a client's connection: {why}");
    }
    if let Some(tunnel) = slot.take() {
        let _busy = seat.busy();
        tokio::select! {
            () = tunnel.run() => {}
            _ = seat.told() => {}
        }
    }
}

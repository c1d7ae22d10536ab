//! One client's connection: HTTP/1.1 (RFC 9112), request after request, within bounds.

use std::convert::Infallible;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use terok_service::clients::{Connection, Drain};

use crate::exchange::Exchange;
use crate::upstream::BUFFER;
use crate::websocket::Slot;

/// Longest wait for a request's head, from the connection's or the last response's end.
const HEAD_LIMIT: Duration = Duration::from_secs(30);

/// Serves until the client or the service ends.
pub(crate) async fn client(exchange: Rc<Exchange>, client: Connection, mut drain: Drain) {
    let slot = Slot::default();
    let left = Rc::clone(&slot);
    let answer = service_fn(move |request| {
        let (exchange, slot) = (Rc::clone(&exchange), Rc::clone(&left));
        async move { Ok::<_, Infallible>(exchange.answer(request, &slot).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(BUFFER)
        .max_header_size(BUFFER)
        // The upstream's own date, or none, is what its response says.
        .auto_date_header(false)
        .serve_connection(TokioIo::new(client), answer)
        .with_upgrades();
    let mut serving = pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = drain.begun() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(why) = ended {
        log::debug!("a client's connection: {why}");
    }
    if let Some(tunnel) = slot.take() {
        tokio::select! {
            () = tunnel.run() => {}
            () = drain.begun() => {}
        }
    }
}

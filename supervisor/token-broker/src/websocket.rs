//! WebSocket: a tunnel between the two ends, opened only after the upstream's own 101 (RFC 6455
//! section 4). Sub-protocols, extensions, pings and close codes are the ends' own business.

use std::cell::Cell;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::header::{CONNECTION, HeaderValue, UPGRADE};
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional_with_sizes};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::answer::{self, Answer};
use crate::audit::{Entry, Moved};
use crate::forward::IDLE_LIMIT;
use crate::inject::remove_hop_by_hop;
use crate::limit::Meter;

/// Bytes held per direction.
const BUFFER: usize = 16 * 1024;

/// How long the other end may take to close once one has; WebSocket has no half-closed state.
const GRACE: Duration = Duration::from_secs(2);

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");
const SWITCH: HeaderValue = HeaderValue::from_static("upgrade");

/// Where an exchange leaves its tunnel, for the connection to run it when HTTP has ended there.
pub(crate) type Slot = Rc<Cell<Option<Tunnel>>>;

/// Two connections that have switched protocols, or are about to.
pub(crate) struct Tunnel {
    client: OnUpgrade,
    upstream: OnUpgrade,
    entry: Entry,
}

/// Whether a request asks to switch to WebSocket.
pub(crate) fn is_asked_for<B>(request: &Request<B>) -> bool {
    let asks = |header: &HeaderMap, name, word: &str| {
        header.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|value| {
            value.split(',').any(|member| member.trim_ascii().eq_ignore_ascii_case(word))
        })
    };
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && asks(request.headers(), UPGRADE, "websocket")
        && asks(request.headers(), CONNECTION, "upgrade")
}

/// Says to the next hop what the hop before said to us: the two headers are those of one
/// connection (RFC 9110 section 7.8).
pub(crate) fn ask(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, SWITCH);
    headers.insert(UPGRADE, WEBSOCKET);
}

/// Whether the upstream has switched.
pub(crate) fn is_open<B>(response: &Response<B>) -> bool {
    response.status() == StatusCode::SWITCHING_PROTOCOLS
}

/// The client's 101, and the tunnel that follows it.
pub(crate) fn open<B>(
    mut upstream: Response<B>,
    client: OnUpgrade,
    mut entry: Entry,
) -> (Response<Answer>, Tunnel) {
    let switched = hyper::upgrade::on(&mut upstream);
    let (mut head, _) = upstream.into_parts();
    remove_hop_by_hop(&mut head.headers);
    ask(&mut head.headers);
    head.version = Version::HTTP_11;
    entry.opened();
    let tunnel = Tunnel { client, upstream: switched, entry };
    (Response::from_parts(head, answer::empty()), tunnel)
}

/// What went through a tunnel.
#[derive(Default)]
struct Tally {
    up: Cell<u64>,
    down: Cell<u64>,
    /// One end has said its last.
    ended: Notify,
    /// For whoever counts the bytes of bodies.
    meter: Option<Meter>,
}

impl Tunnel {
    /// Carries bytes both ways until an end closes, or both are silent for too long.
    pub(crate) async fn run(self) {
        let tally = Tally { meter: self.entry.meter(), ..Tally::default() };
        let outcome = match tokio::try_join!(self.client, self.upstream) {
            Err(why) => {
                log::debug!("a tunnel that did not open: {why}");
                "upstream_disconnected"
            }
            Ok((client, upstream)) => {
                let ends = (TokioIo::new(client), TokioIo::new(upstream));
                carry(ends.0, ends.1, &tally, IDLE_LIMIT).await
            }
        };
        let moved = Moved { bytes_up: tally.up.get(), bytes_down: tally.down.get() };
        self.entry.closed(outcome, moved);
    }
}

async fn carry<S>(client: S, upstream: S, tally: &Tally, idle: Duration) -> &'static str
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (up, down) = (&tally.up, &tally.down);
    let metered = |stream, read| {
        let meter = tally.meter.as_ref();
        Metered { stream, read, ended: &tally.ended, meter }
    };
    let (mut client, mut upstream) = (metered(client, up), metered(upstream, down));
    let carrying = copy_bidirectional_with_sizes(&mut client, &mut upstream, BUFFER, BUFFER);
    let mut carrying = pin!(carrying);
    loop {
        let seen = (up.get(), down.get());
        tokio::select! {
            // An end that breaks off has closed as much as one that says so.
            _ = carrying.as_mut() => return "websocket_closed",
            () = tally.ended.notified() => {
                let _ = timeout(GRACE, carrying.as_mut()).await;
                return "websocket_closed";
            }
            () = sleep(idle) => {
                if seen == (up.get(), down.get()) {
                    return "websocket_silent";
                }
            }
        }
    }
}

/// A stream that counts what is read from it, and tells when that ends.
struct Metered<'a, S> {
    stream: S,
    read: &'a Cell<u64>,
    ended: &'a Notify,
    meter: Option<&'a Meter>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<'_, S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let read = buffer.filled().len() - before;
        self.read.set(self.read.get() + read as u64);
        if let Some(meter) = self.meter {
            meter.add(read);
        }
        if polled.is_ready() && read == 0 {
            self.ended.notify_one();
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<'_, S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;
    use tokio::io::AsyncWriteExt;

    fn outcome(carried: impl Future<Output = &'static str>) -> &'static str {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(carried)
    }

    #[test]
    fn a_tunnel_in_which_nothing_moves_is_closed() {
        let (idle, began, tally) = (Duration::from_millis(50), Instant::now(), Tally::default());
        let (client, mut at_client) = tokio::io::duplex(64);
        let (upstream, _at_upstream) = tokio::io::duplex(64);
        let carried = outcome(async {
            let talk = async {
                sleep(idle / 2).await;
                at_client.write_all(b"still here").await.unwrap();
                std::future::pending().await
            };
            tokio::select! {
                outcome = carry(client, upstream, &tally, idle) => outcome,
                never = talk => never,
            }
        });
        assert_eq!((carried, tally.up.get()), ("websocket_silent", 10));
        assert!(began.elapsed() >= idle * 2, "what moved in one span is missed in the next");
    }

    #[test]
    fn an_end_that_stays_open_after_the_other_closed_is_closed_too() {
        let (client, at_client) = tokio::io::duplex(64);
        let (upstream, _at_upstream) = tokio::io::duplex(64);
        drop(at_client);
        let carried =
            outcome(async { carry(client, upstream, &Tally::default(), IDLE_LIMIT).await });
        assert_eq!(carried, "websocket_closed");
    }

    #[test]
    fn only_a_get_that_says_both_words_asks_for_it() {
        let asks = |method: &str, connection: &str, upgrade: &str| {
            let request = Request::builder()
                .method(method)
                .header("connection", connection)
                .header("upgrade", upgrade)
                .body(());
            is_asked_for(&request.unwrap())
        };
        assert!(asks("GET", "keep-alive, Upgrade", "WebSocket"));
        assert!(!asks("POST", "upgrade", "websocket"));
        assert!(!asks("GET", "keep-alive", "websocket"));
        assert!(!asks("GET", "upgrade", "h2c"));
    }
}

//! Sends one request to its upstream and waits for the head of the response; the body of the
//! request flows meanwhile, as it comes.

use std::error::Error;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy;
use tokio::time::{Instant, Sleep, sleep};

use crate::upload::Upload;
use crate::upstream::{Answered, Client, DialError, Direct, Download, Failure};

/// Longest silence of an upstream, before its response and within it.
pub(crate) const IDLE_LIMIT: Duration = Duration::from_secs(1200);

pub(crate) type Timer = Pin<Box<Sleep>>;

/// A failure and, for our own log, how it came about.
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    pub(crate) detail: String,
    /// The connection had answered before: it may have been closing when the request met it.
    pub(crate) on_used_connection: bool,
}

/// How a request reaches its upstream.
#[derive(Clone, Copy)]
pub(crate) enum Way<'a> {
    /// The shared client: TLS, HTTP/2, upgrades.
    Client(&'a Client),
    Direct(&'a Rc<Direct>),
}

/// The upstream's response, its body still to come. Dropping the future ends the exchange on the
/// upstream's side, too.
pub(crate) async fn send(
    way: Way<'_>,
    request: Request<Upload>,
) -> Result<Response<Download>, Failed> {
    match way {
        Way::Client(client) => {
            let response = Box::pin(send_by_client(client, request)).await?;
            Ok(response.map(Download::from))
        }
        Way::Direct(direct) => {
            let moved = request.body().progress();
            let mut timer = direct.timer();
            let answered = unless_silent(direct.send(request), moved, &mut timer, IDLE_LIMIT).await;
            direct.keep_timer(timer);
            answered
        }
    }
}

/// The same by the shared client alone, wherever the future may run.
pub(crate) async fn send_by_client(
    client: &Client,
    request: Request<Upload>,
) -> Result<Response<Incoming>, Failed> {
    let moved = request.body().progress();
    let answered = async {
        let response = client.request(request).await.map_err(|why| Failed::of(&why))?;
        Answered::note(response.extensions());
        Ok(response)
    };
    unless_silent(answered, moved, &mut Box::pin(sleep(IDLE_LIMIT)), IDLE_LIMIT).await
}

/// Gives up when neither the request nor the response has moved for too long. The timer may be one
/// that was used before: it is set again when it goes off, not for every request.
async fn unless_silent<T>(
    response: impl Future<Output = Result<T, Failed>>,
    moved: Option<Arc<AtomicU64>>,
    timer: &mut Timer,
    limit: Duration,
) -> Result<T, Failed> {
    let mut response = pin!(response);
    let mut until = Instant::now() + limit;
    let mut seen = 0;
    loop {
        tokio::select! {
            biased;
            answered = response.as_mut() => return answered,
            () = timer.as_mut() => {
                let now = Instant::now();
                if now >= until {
                    let now_seen = moved.as_ref().map_or(0, |moved| moved.load(Ordering::Relaxed));
                    if now_seen == seen {
                        let detail = format!("silent for {} s", limit.as_secs());
                        return Err(Failed::new(Failure::Timeout, detail));
                    }
                    // A long upload is not silence.
                    (seen, until) = (now_seen, now + limit);
                }
                timer.as_mut().reset(until);
            }
        }
    }
}

impl Failed {
    pub(crate) fn new(failure: Failure, detail: String) -> Self {
        Self { failure, detail, on_used_connection: false }
    }

    pub(crate) fn of_http(why: &hyper::Error, on_used_connection: bool) -> Self {
        Self { failure: Failure::of_http(why), detail: chain(why), on_used_connection }
    }

    pub(crate) fn of_dial(why: &DialError) -> Self {
        Self::new(Failure::of_dial(why), chain(why))
    }

    fn of(why: &legacy::Error) -> Self {
        let on_used_connection = why.connect_info().is_some_and(Answered::before);
        Self { failure: Failure::of(why), detail: chain(why), on_used_connection }
    }
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_millis(60);

    /// How long something that never comes was waited for, while `moved` grows that many times.
    fn waited(timer_goes_off_after: Duration, moves: u32) -> Duration {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            let began = Instant::now();
            let moved = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&moved);
            let never = async {
                for _ in 0..moves {
                    sleep(LIMIT / 2).await;
                    counted.fetch_add(1, Ordering::Relaxed);
                }
                std::future::pending::<Result<(), Failed>>().await
            };
            let mut timer = Box::pin(sleep(timer_goes_off_after));
            let failed = unless_silent(never, Some(moved), &mut timer, LIMIT).await.unwrap_err();
            assert_eq!(failed.failure, Failure::Timeout);
            began.elapsed()
        })
    }

    #[test]
    fn silence_ends_a_request_whatever_its_timer_was_set_to_before() {
        for early in [Duration::ZERO, LIMIT / 2, LIMIT] {
            assert!((LIMIT..LIMIT * 3).contains(&waited(early, 0)), "{early:?}");
        }
    }

    #[test]
    fn an_upload_under_way_is_not_silence() {
        assert!(waited(LIMIT, 4) >= LIMIT * 3);
    }
}

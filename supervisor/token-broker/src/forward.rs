//! Sends one request to its upstream and waits for the head of the response; the body of the
//! request flows meanwhile, as it comes.

use std::error::Error;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy;
use tokio::time::{Instant, sleep};

use crate::upload::Upload;
use crate::upstream::{Answered, Client, DialError, Direct, Download, Failure};

/// Longest silence of an upstream, before its response and within it.
pub(crate) const IDLE_LIMIT: Duration = Duration::from_secs(1200);

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
            unless_silent(direct.send(request), moved).await
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
    unless_silent(answered, moved).await
}

/// Gives up when neither the request nor the response has moved for too long.
async fn unless_silent<T>(
    response: impl Future<Output = Result<T, Failed>>,
    moved: Option<Arc<AtomicU64>>,
) -> Result<T, Failed> {
    let mut response = pin!(response);
    let mut silence = pin!(sleep(IDLE_LIMIT));
    let mut seen = 0;
    loop {
        tokio::select! {
            biased;
            answered = response.as_mut() => return answered,
            () = silence.as_mut() => {
                let now_seen = moved.as_ref().map_or(0, |moved| moved.load(Ordering::Relaxed));
                if now_seen == seen {
                    let detail = format!("silent for {} s", IDLE_LIMIT.as_secs());
                    return Err(Failed::new(Failure::Timeout, detail));
                }
                // A long upload is not silence.
                seen = now_seen;
                silence.as_mut().reset(Instant::now() + IDLE_LIMIT);
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

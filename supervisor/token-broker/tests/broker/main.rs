//! The real broker, spoken to over its socket, with the test as keeper and upstream.

// All of it is test code: what does not unwrap has failed.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test panics, and says why it skips"
)]

mod harness;

mod authentication;
mod bodies;
mod bounds;
mod changes;
mod failures;
mod framing;
mod headers;
mod interim;
mod real_clients;
mod redirects;
mod refresh;
mod retry;
mod rules;
mod tls;
mod trail;
mod websocket;

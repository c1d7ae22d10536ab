//! The real broker, spoken to over its socket, with the test as keeper and upstream.

// All of it is test code: what does not unwrap has failed.
#![allow(clippy::unwrap_used)]

mod harness;

mod authentication;
mod bodies;
mod changes;
mod failures;
mod framing;
mod headers;
mod redirects;
mod tls;
mod websocket;

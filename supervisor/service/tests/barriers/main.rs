//! The barriers of a service's life, each shown by what a real process can no longer do.
//!
//! Every test starts the example `barred`. Each fails when its barrier is taken away.

#![allow(clippy::unwrap_used, reason = "every file here is a test")]

mod start;

mod clean_start;
mod confined;
mod hardened;
mod refusals;
mod served;

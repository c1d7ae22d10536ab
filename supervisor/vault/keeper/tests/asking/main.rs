//! A real keeper with both its lines in the test's hands, as if broker and signer were hijacked:
//! what they can get, what they cannot, and what the process itself gives away.

#![allow(clippy::unwrap_used, reason = "every file here is a test")]

mod house;

mod changes;
mod process;
mod scope;
mod unlocking;

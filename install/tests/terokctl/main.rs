//! The real terokctl, in a directory of its own for each test.

#![allow(clippy::unwrap_used, reason = "helpers of tests are outside the functions clippy exempts")]

mod cleanup;
mod config;
mod credential_use;
mod egress;
mod gate;
mod gate_upstream;
mod import;
mod json;
mod launch;
mod machine;
mod observe;
mod prompt;
mod run;
mod ssh;
mod ssh_keys;
mod upkeep;
mod vault;

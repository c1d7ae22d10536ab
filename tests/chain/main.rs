//! Hook, supervisor and services as whole programs, called as runtimes call them and used as
//! containers use them; only podman is missing.

#![allow(clippy::unwrap_used, reason = "every file here is a test")]

mod start;

mod stop;

//! The services of one container beside an operator who changes what they use.

#![allow(clippy::unwrap_used, reason = "every file here is a test")]

mod in_force;

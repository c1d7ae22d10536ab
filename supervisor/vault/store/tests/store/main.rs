//! The store against database files and key files of other programs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fixture;

mod key_files;
mod migration;
mod opening;
mod rows;
